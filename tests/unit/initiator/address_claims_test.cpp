// SPDX-License-Identifier: Apache-2.0
// Two objects stand for two processes: their locks belong to opened files.
#include "address_claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const TransportAddress kOther{"tcp", "ipv4", "198.51.100.66", "4420"};

class AddressClaimsTest : public testing::Test {
 protected:
    std::shared_ptr<RunFolder> folder() {
        return std::make_shared<RunFolder>(host_.options().runRoot);
    }
    std::vector<std::string> files() {
        std::vector<std::string> names;
        for (const auto& entry :
             fs::directory_iterator(host_.options().runRoot + "/nvmeof_generic")) {
            names.push_back(entry.path().filename());
        }
        return names;
    }
    static int codeOf(const Result<std::shared_ptr<const AddressClaims::Claim>>& taken) {
        return taken.ok() ? 0 : taken.error().code;
    }

    FakeHost host_;
    AddressClaims one_{folder()}, two_{folder()};
};

TEST_F(AddressClaimsTest, AnNqnHasOneSetOfAddresses) {
    for (AddressClaims* second : {&one_, &two_}) {
        auto first = one_.take(kNqn, {kAddress, kOther});
        ASSERT_TRUE(first.ok()) << first.error().message;
        EXPECT_EQ(codeOf(second->take(kNqn, {kOther, kAddress})), 0) << "in any order";
        EXPECT_EQ(codeOf(second->take(kNqn, {kAddress})), EADDRINUSE);
        const auto refused = second->take(kNqn, {kAddress, {"tcp", "ipv4", "192.0.2.99", "4420"}});
        ASSERT_EQ(codeOf(refused), EADDRINUSE);
        EXPECT_THAT(refused.error().message, HasSubstr(kNqn));
        EXPECT_THAT(refused.error().message, HasSubstr("192.0.2.99"));
        EXPECT_THAT(refused.error().message, HasSubstr("198.51.100.66"));
        EXPECT_EQ(codeOf(second->take(kOtherNqn, {kOther})), 0)
            << "another NQN is another's affair";
    }
    EXPECT_EQ(codeOf(two_.take(kNqn, {kAddress})), 0) << "when nobody uses it any more";
}

TEST_F(AddressClaimsTest, TheLastUserLeavesNothing) {
    auto first = one_.take(kNqn, {kAddress});
    auto second = two_.take(kNqn, {kAddress});
    ASSERT_TRUE(first.ok() && second.ok());
    first.value().reset();
    EXPECT_EQ(files().size(), 1u);
    EXPECT_EQ(codeOf(one_.take(kNqn, {kOther})), EADDRINUSE);
    second.value().reset();
    EXPECT_TRUE(files().empty());
}

// A process that was killed leaves its file, and nobody with a lock on it.
TEST_F(AddressClaimsTest, WhatAKilledProcessLeftCountsNothing) {
    const std::string left = host_.options().runRoot + "/nvmeof_generic/addresses." + kNqn;
    std::ofstream(left) << toString(kOther) << "\n";
    EXPECT_EQ(codeOf(one_.take(kNqn, {kAddress})), 0);
    std::ofstream(left) << toString(kOther) << "\n";
    AddressClaims later(folder());
    EXPECT_TRUE(files().empty());
}

TEST_F(AddressClaimsTest, OneProcessKnowsOfItselfWithoutAFolder) {
    AddressClaims alone(std::make_shared<RunFolder>("/nonexistent"));
    auto first = alone.take(kNqn, {kAddress});
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(codeOf(alone.take(kNqn, {kOther})), EADDRINUSE);
    EXPECT_EQ(codeOf(one_.take(kNqn, {kOther})), 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
