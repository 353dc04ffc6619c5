// SPDX-License-Identifier: Apache-2.0
// Which connections lead to this node's own files, and which do not.
#include "local_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

const std::string kOwn = "nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:own";
const TransportAddress kHere{"tcp", "ipv6", "2001:db8::7", "4420"};
const TransportAddress kThere{"tcp", "ipv4", "198.51.100.66", "4420"};
constexpr uint32_t kLocal = 1, kOnTmpfs = 2;
constexpr uint64_t kSize = 65536;

class OwnTarget final : public Target {
 public:
    const std::string& subsystemNqn() const override { return kOwn; }
    const TransportAddresses& addresses() const override {
        static const TransportAddresses all{kHere};
        return all;
    }
    Result<ExportedFile> addFile(uint32_t, const std::string&, uint64_t,
                                 const FileRules&) override {
        return makeError(EINVAL, "not here");
    }
    void cutOff() override {}
    Result<> removeFile(uint32_t) override { return {}; }
    bool exports(uint32_t) override { return true; }
    Result<LocalFile> openLocally(uint32_t nsid, int) override {
        if (nsid == kOnTmpfs) return makeError(EOPNOTSUPP, "no direct I/O");
        return LocalFile{UniqueFd(), "/own", kSize, 4096, false};
    }
    TargetCounts counts() override { return {}; }
    Result<> setAllowedHosts(const std::vector<std::string>&) override { return {}; }
};

struct NetworkConnection final : Connection {
    explicit NetworkConnection(std::string name) : nqn(std::move(name)) {}
    const std::string& subsystemNqn() const override { return nqn; }
    bool isLive() const override { return true; }
    bool isReconnecting() const override { return false; }
    bool isOurs() const override { return true; }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>&) override { return true; }
    void giveUp() override {}
    const std::string nqn;
};

using Connects = std::vector<std::pair<TransportAddress, std::string>>;

// Connects to whatever it is asked for.
class Network final : public Initiator {
 public:
    explicit Network(Connects& connects) : connects_(connects) {}
    Result<std::shared_ptr<Connection>> connect(const TransportAddresses& addresses,
                                                const std::string& nqn) override {
        connects_.emplace_back(addresses.front(), nqn);
        return std::shared_ptr<Connection>(std::make_shared<NetworkConnection>(nqn));
    }
    Result<RemoteNamespace> openNamespace(const Connection& connection, uint32_t, uint64_t size,
                                          int, std::chrono::steady_clock::time_point) override {
        return RemoteNamespace{UniqueFd(), "over the network as " + connection.subsystemNqn(), size,
                               4096};
    }

 private:
    Connects& connects_;
};

class LocalAccessTest : public testing::Test {
 protected:
    std::string opened(const Connection& connection, uint32_t nsid) {
        auto opened = access_.openNamespace(connection, nsid, kSize, 0, {});
        return opened.ok() ? opened.value().deviceName : opened.error().message;
    }

    OwnTarget target_;
    Connects connects_;
    LocalAccess access_{std::make_unique<Network>(connects_), target_, {kHere}};
};

TEST_F(LocalAccessTest, OwnFilesNeedNoNetworkWhereTheyCanBeOpened) {
    auto spelled = kHere;
    spelled.traddr = "2001:DB8:0::7";
    for (const TransportAddress& address : {kHere, spelled}) {
        const auto own = access_.connect(address, kOwn);
        ASSERT_TRUE(own.ok()) << own.error().message;
        EXPECT_EQ(opened(*own.value(), kLocal), "/own");
        EXPECT_THAT(connects_, testing::IsEmpty());
    }
    const auto own = access_.connect(kHere, kOwn);
    EXPECT_EQ(opened(*own.value(), kOnTmpfs), "over the network as " + kOwn);
    EXPECT_THAT(connects_, testing::ElementsAre(std::pair(kHere, kOwn)));
}

TEST_F(LocalAccessTest, OthersAreConnectedTo) {
    const auto other = access_.connect(kThere, "nqn.2026-01.org.example:b");
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(opened(*other.value(), kLocal), "over the network as nqn.2026-01.org.example:b");
}

// A node that publishes this one's NQN with its own address gets nothing: neither what is meant for
// it lands in this node's files, nor does this node look for its own files there.
TEST_F(LocalAccessTest, WhoTakesThisNodesNqnGetsNothing) {
    auto elsewhere = kHere;
    elsewhere.trsvcid = "4421";
    for (const TransportAddress& address : {kThere, elsewhere}) {
        const auto refused = access_.connect(address, kOwn);
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().code, EADDRINUSE);
        EXPECT_THAT(refused.error().message,
                    testing::AllOf(testing::HasSubstr(kOwn), testing::HasSubstr(address.traddr),
                                   testing::HasSubstr("trsvcid=" + address.trsvcid)));
    }
    const auto own = access_.connect(kHere, kOwn);
    ASSERT_TRUE(own.ok());
    opened(*own.value(), kOnTmpfs);
    EXPECT_THAT(connects_, testing::ElementsAre(std::pair(kHere, kOwn)));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
