// SPDX-License-Identifier: Apache-2.0
#include "host_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <uuid/uuid.h>

#include <cerrno>
#include <filesystem>

#include "fake_host.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kUuidNqn = "nqn.2014-08.org.nvmexpress:uuid:";
const std::string kFileId = "11111111-2222-4333-8444-555555555555";

class HostIdentityTest : public testing::Test {
 protected:
    HostIdentity load() {
        auto loaded = loadHostIdentity(options());
        EXPECT_TRUE(loaded.ok()) << loaded.error().message;
        return loaded.ok() ? loaded.take() : HostIdentity{};
    }
    InitiatorOptions options() {
        InitiatorOptions made = host.options();
        made.hostNqn = hostNqn;
        return made;
    }
    void hostnqn(const std::string& text) { FakeHost::write(host.etc() / "nvme/hostnqn", text); }
    void hostid(const std::string& text) { FakeHost::write(host.etc() / "nvme/hostid", text); }
    void machineId(const std::string& text) { FakeHost::write(host.etc() / "machine-id", text); }
    void productUuid(const std::string& text) {
        fs::create_directories(host.sys() / "class/dmi/id");
        FakeHost::write(host.sys() / "class/dmi/id/product_uuid", text);
    }

    FakeHost host;
    std::string hostNqn;
};

bool isUuid(const std::string& text) {
    uuid_t uuid;
    return text.size() == 36 && uuid_parse(text.c_str(), uuid) == 0;
}

TEST_F(HostIdentityTest, TakesBothFiles) {
    hostnqn("nqn.2020-01.com.example:host7");
    hostid("11111111-2222-4333-8444-55555555ABCD");
    EXPECT_EQ(load().nqn, "nqn.2020-01.com.example:host7");
    EXPECT_EQ(load().id, "11111111-2222-4333-8444-55555555abcd");
}

TEST_F(HostIdentityTest, TakesTheIdOutOfTheNqnWithoutAFileForIt) {
    hostnqn(kUuidNqn + kFileId);
    EXPECT_EQ(load().id, kFileId);
}

TEST_F(HostIdentityTest, MakesAStableIdForANqnWithoutUuid) {
    hostnqn("nqn.2020-01.com.example:host7");
    const std::string id = load().id;
    EXPECT_TRUE(isUuid(id)) << id;
    EXPECT_EQ(load().id, id);
    hostnqn("nqn.2020-01.com.example:host8");
    EXPECT_NE(load().id, id);
}

TEST_F(HostIdentityTest, RefusesMalformedFilesByName) {
    for (const char* bad : {"host7", "nqn.2020-01.com.example:a,nr_io_queues=1",
                            "nqn.2020-01.com.example:a\nnqn.2020-01.com.example:b"}) {
        hostnqn(bad);
        const auto loaded = loadHostIdentity(options());
        ASSERT_FALSE(loaded.ok()) << bad;
        EXPECT_EQ(loaded.error().code, EINVAL);
        EXPECT_THAT(loaded.error().message, HasSubstr("nvme/hostnqn"));
        EXPECT_THAT(loaded.error().message, HasSubstr("or remove the file"));
    }
    hostnqn("nqn.2020-01.com.example:host7");
    for (const char* bad : {"7", "00000000-0000-0000-0000-000000000000",
                            "11111111-2222-4333-8444-555555555555,tls", "not-a-uuid"}) {
        hostid(bad);
        const auto loaded = loadHostIdentity(options());
        ASSERT_FALSE(loaded.ok()) << bad;
        EXPECT_EQ(loaded.error().code, EINVAL);
        EXPECT_THAT(loaded.error().message, HasSubstr("nvme/hostid"));
        EXPECT_THAT(loaded.error().message, HasSubstr("or remove the file"));
    }
}

// As images have them that are to become many hosts.
TEST_F(HostIdentityTest, TakesBlankFilesForNone) {
    machineId("0123456789abcdef0123456789abcdef");
    const HostIdentity own = load();
    for (const char* blank : {"", "\n", " \r\n"}) {
        hostnqn(blank);
        hostid(kFileId);
        EXPECT_EQ(load().nqn, own.nqn);
        EXPECT_EQ(load().id, own.id);
        hostnqn(kUuidNqn + kFileId);
        hostid(blank);
        EXPECT_EQ(load().id, kFileId);
    }
}

TEST_F(HostIdentityTest, MakesAStablePairOfTheMachineId) {
    machineId("0123456789abcdef0123456789abcdef");
    const HostIdentity first = load();
    EXPECT_THAT(first.nqn, StartsWith(kUuidNqn));
    EXPECT_EQ(first.nqn, kUuidNqn + first.id);
    EXPECT_TRUE(checkNqn(first.nqn).ok());
    EXPECT_TRUE(isUuid(first.id));
    EXPECT_EQ(load().nqn, first.nqn);
    // It must not give the machine id away: systemd asks applications to hash it.
    EXPECT_THAT(first.nqn, testing::Not(HasSubstr("01234567-89ab")));
    machineId("1123456789abcdef0123456789abcdef");
    EXPECT_NE(load().nqn, first.nqn);
}

// A hostid without a hostnqn belongs to an NQN that we do not know.
TEST_F(HostIdentityTest, LeavesALoneHostidAlone) {
    machineId("0123456789abcdef0123456789abcdef");
    hostid(kFileId);
    EXPECT_NE(load().id, kFileId);
}

TEST_F(HostIdentityTest, FallsBackToTheMainboardThenToARandomPair) {
    for (const char* unusable :
         {"", "uninitialized", "00000000000000000000000000000000", "0123", "0123456789ABCDEF"}) {
        machineId(unusable);
        fs::remove_all(host.sys() / "class/dmi");
        const HostIdentity random = load();
        EXPECT_EQ(random.nqn, kUuidNqn + random.id);
        EXPECT_EQ(load().nqn, random.nqn) << "the same for the life of the process";
        productUuid("4C4C4544-0035-4D10-8052-B7C04F4E4E32");
        const HostIdentity board = load();
        EXPECT_EQ(board.nqn, kUuidNqn + board.id);
        EXPECT_NE(board.nqn, random.nqn);
        EXPECT_EQ(load().nqn, board.nqn);
    }
}

TEST_F(HostIdentityTest, TheOptionComesFirst) {
    hostnqn("not an NQN");
    hostNqn = "nqn.2020-01.com.example:host9";
    EXPECT_EQ(load().nqn, hostNqn);
    // If it is the one of the file, the file's id belongs to it.
    hostnqn(hostNqn);
    hostid(kFileId);
    EXPECT_EQ(load().id, kFileId);
    hostnqn("nqn.2020-01.com.example:other");
    EXPECT_NE(load().id, kFileId);
    hostNqn = kUuidNqn + "99999999-2222-4333-8444-555555555555";
    EXPECT_EQ(load().id, "99999999-2222-4333-8444-555555555555");
}

TEST_F(HostIdentityTest, AgreesWithThePairsThatTheKernelKnows) {
    const HostIdentity own{kHostNqn, kHostId};
    ControllerInfo other{.name = "nvme0",
                         .subsystemNqn = kOtherNqn,
                         .trtype = "tcp",
                         .traddr = "192.0.2.9",
                         .trsvcid = "4420",
                         .hostNqn = kHostNqn,
                         .hostId = kFileId,
                         .state = ControllerState::kLive};
    EXPECT_EQ(agreeWith(own, {}).id, kHostId);
    EXPECT_EQ(agreeWith(own, {other}).nqn, kHostNqn);
    EXPECT_EQ(agreeWith(own, {other}).id, kFileId) << "our NQN is known with that id";
    other.hostNqn = "nqn.2020-01.com.example:other";
    EXPECT_EQ(agreeWith(own, {other}).id, kHostId) << "nothing in common";
    other.hostId = kHostId;
    EXPECT_EQ(agreeWith(own, {other}).nqn, kHostNqn);
    EXPECT_NE(agreeWith(own, {other}).id, kHostId) << "our id is known with another NQN";
    EXPECT_TRUE(isUuid(agreeWith(own, {other}).id));
    EXPECT_EQ(agreeWith(own, {other}).id, agreeWith(own, {other}).id);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
