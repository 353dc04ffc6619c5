// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/nqn.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace mooncake::nvmeof_generic {
namespace {

std::string nqnOfLength(size_t length) {
    std::string nqn = "nqn.2026-01.org.example:";
    nqn.resize(length, 'x');
    return nqn;
}

// Case 26: 223 bytes are the limit of the specification; the kernel would cut a longer folder name
// silently.
TEST(Nqn, LengthLimit) {
    EXPECT_TRUE(checkNqn(nqnOfLength(223)).ok());
    for (size_t length : {224, 256, 100000}) {
        const Result<> result = checkNqn(nqnOfLength(length));
        ASSERT_FALSE(result.ok()) << length;
        EXPECT_EQ(result.error().code, EINVAL);
        EXPECT_NE(result.error().message.find(std::to_string(length)), std::string::npos);
    }
}

TEST(Nqn, AcceptsUsualForms) {
    for (const char* nqn :
         {"nqn.2014-08.org.nvmexpress:uuid:12345678-1234-1234-1234-123456789abc",
          "nqn.2014-08.org.nvmexpress.discovery", "nqn.2020-01.com.vendor:A_b.c-d"}) {
        EXPECT_TRUE(checkNqn(nqn).ok()) << nqn;
    }
}

// Case 25: nothing that could inject an option, leave the folder or end a line.
TEST(Nqn, RefusesWhatCouldInject) {
    using namespace std::string_literals;
    const std::string head = "nqn.2026-01.org.example:";
    for (const std::string& nqn :
         {head + "a,b", head + "a=b", head + "a,traddr=1.2.3.4", head + "a\n", head + "a\0b"s,
          head + "a b", head + "a/b", head + "../x", head + "\xff", "../"s, ""s, "nqn."s,
          "nqn.2026-01."s, "nqn.2026-1.org.example:x"s, "NQN.2026-01.org.example:x"s,
          "iqn.2026-01.org.example:x"s, " "s + head}) {
        const Result<> result = checkNqn(nqn);
        ASSERT_FALSE(result.ok()) << nqn;
        EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
        EXPECT_EQ(result.error().message.find('\0'), std::string::npos);
    }
}

TEST(Nqn, EachIncarnationHasItsOwnName) {
    std::set<std::string> names;
    for (int i = 0; i < 1000; ++i) {
        const std::string nqn = newSubsystemNqn();
        EXPECT_TRUE(checkNqn(nqn).ok()) << nqn;
        EXPECT_TRUE(isOwnSubsystemNqn(nqn)) << nqn;
        EXPECT_TRUE(names.insert(nqn).second) << nqn;
    }
}

// Case 17: a stranger's name that merely begins like ours is not ours.
TEST(Nqn, RecognisesOnlyItsOwn) {
    const std::string prefix(kSubsystemNqnPrefix);
    EXPECT_FALSE(isOwnSubsystemNqn(prefix));
    EXPECT_FALSE(isOwnSubsystemNqn(prefix + "mine"));
    EXPECT_FALSE(isOwnSubsystemNqn(newSubsystemNqn() + "x"));
    EXPECT_FALSE(isOwnSubsystemNqn("x" + newSubsystemNqn()));
    EXPECT_FALSE(isOwnSubsystemNqn("nqn.2014-08.org.nvmexpress.discovery"));
}

// The value is part of the protocol between target and initiator: computed by Python's
// uuid.uuid5(), not by this code.
TEST(NamespaceUuid, MatchesAnotherImplementation) {
    EXPECT_EQ(namespaceUuid("nqn.2026-01.org.example:a", 1),
              "b4bd54fd-e481-54b0-a728-d315eef7f2e4");
    EXPECT_EQ(namespaceUuid("nqn.2026-01.org.example:a", 4294967294u),
              "5d0536e0-a962-568a-bc5a-453a64c14fc3");
}

TEST(NamespaceUuid, DependsOnBothParts) {
    std::set<std::string> uuids;
    for (const char* nqn : {"nqn.2026-01.org.example:a", "nqn.2026-01.org.example:a/1"}) {
        for (uint32_t nsid : {1u, 2u, 11u})
            EXPECT_TRUE(uuids.insert(namespaceUuid(nqn, nsid)).second);
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
