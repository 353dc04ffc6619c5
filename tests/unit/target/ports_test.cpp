// SPDX-License-Identifier: Apache-2.0
// A target with several addresses.
#include <gmock/gmock.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "failing_tree.h"
#include "target_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const std::string kA = "nqn.2014-08.org:a", kB = "nqn.2014-08.org:b";

const TransportAddresses kThree{{"tcp", "ipv4", "127.0.0.1", "4420"},
                                {"tcp", "ipv4", "127.0.0.2", "4420"},
                                {"tcp", "ipv4", "127.0.0.1", "4421"}};

class PortsTest : public TargetTest {
 protected:
    PortsTest() { options_.addressInterval = std::chrono::milliseconds(1); }

    Result<std::unique_ptr<Target>> tryStart(const TransportAddresses& addresses = kThree) {
        return Target::start(addresses, options_, nvmet_);
    }
    /// The addresses at which the target's subsystem is served, as the tree has it.
    std::set<std::string> served(const Target& target) {
        std::set<std::string> found;
        std::vector<std::string> ports;
        nvmet_->list(nvmet_->root() + "/ports", ports);
        for (const std::string& port : ports) {
            const std::string path = nvmet_->root() + "/ports/" + port;
            if (nvmet_->exists(path + "/subsystems/" + target.subsystemNqn()) != 0) continue;
            std::string address, service;
            nvmet_->readFile(path + "/addr_traddr", address);
            nvmet_->readFile(path + "/addr_trsvcid", service);
            found.insert(address + ":" + service);
        }
        return found;
    }
    bool comesToBeServed(const Target& target, const std::set<std::string>& wanted) {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (served(target) != wanted && std::chrono::steady_clock::now() < limit) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return served(target) == wanted;
    }
    void setAbsent(const std::set<std::string>& addresses) {
        const std::lock_guard guard(nvmet_->mutex());
        nvmet_->absent = addresses;
    }

    /// Counts how often each port's link is taken away, and what is served just before.
    void watchCuts(const Target& target) {
        cuts_.clear();
        servedAtCuts_.clear();
        nvmet_->beforeUnlink = [&](const std::string& path) {
            if (path.find("/ports/") == std::string::npos) return;
            ++cuts_[path];
            servedAtCuts_.insert(served(target));
        };
    }

    std::map<std::string, int> cuts_;
    std::set<std::set<std::string>> servedAtCuts_;
    const std::set<std::string> kAll{"127.0.0.1:4420", "127.0.0.2:4420", "127.0.0.1:4421"};
};

TEST_F(PortsTest, OneSubsystemAtEachAddress) {
    const TreeSnapshot before = snapshot();
    auto target = tryStart();
    ASSERT_TRUE(target.ok()) << target.error().message;
    EXPECT_EQ(served(*target.value()), kAll);
    EXPECT_EQ(target.value()->addresses(), kThree);
    target.value()->cutOff();
    EXPECT_TRUE(served(*target.value()).empty());
    target.value().reset();
    EXPECT_EQ(snapshot(), before);
}

// Each port goes with its last user.
TEST_F(PortsTest, AreSharedWithOtherTargets) {
    auto one = tryStart();
    auto other = start(kThree[1]);
    ASSERT_TRUE(one.ok());
    one.value().reset();
    EXPECT_EQ(served(*other), std::set<std::string>{"127.0.0.2:4420"});
    const auto ports = pathsWith(snapshot(), "/addr_traddr");
    EXPECT_EQ(ports.size(), 1u);
}

TEST_F(PortsTest, AnAddressThatComesLaterIsAdded) {
    nvmet_->absent = {"127.0.0.1"};
    auto target = tryStart();
    ASSERT_TRUE(target.ok()) << target.error().message;
    EXPECT_EQ(served(*target.value()), std::set<std::string>{"127.0.0.2:4420"});
    setAbsent({});
    EXPECT_TRUE(comesToBeServed(*target.value(), kAll));
}

TEST_F(PortsTest, OneAddressMustBeThere) {
    const TreeSnapshot before = snapshot();
    nvmet_->absent = {"127.0.0.1", "127.0.0.2"};
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EADDRNOTAVAIL);
    EXPECT_THAT(error.message, HasSubstr("traddr=127.0.0.1"));
    EXPECT_EQ(snapshot(), before);
}

// A mistake of the operator's is one at each address.
TEST_F(PortsTest, AnAddressThatIsTakenIsAnError) {
    const TreeSnapshot before = snapshot();
    nvmet_->taken = {"127.0.0.1:4421"};
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_THAT(error.message, HasSubstr("trsvcid=4421"));
    EXPECT_EQ(snapshot(), before);
    EXPECT_EQ(errorOf(tryStart({kThree[0], kThree[0]})).code, EINVAL);
    EXPECT_EQ(errorOf(tryStart({})).code, EINVAL);
}

// A host that is taken off the list loses its connections at each of them.
TEST_F(PortsTest, AHostIsCutOffEverywhere) {
    options_.allowedHosts = {kA, kB};
    auto target = tryStart();
    ASSERT_TRUE(target.ok());
    watchCuts(*target.value());
    ASSERT_TRUE(target.value()->setAllowedHosts({kA}).ok());
    EXPECT_THAT(cuts_, ElementsAre(Pair(_, 1), Pair(_, 1), Pair(_, 1)));
    EXPECT_EQ(servedAtCuts_, std::set<std::set<std::string>>{kAll}) << "one after the other";
    EXPECT_EQ(served(*target.value()), kAll);
    nvmet_->beforeUnlink = nullptr;
}

// One at which that fails costs those on the list nothing, also when it is tried again.
TEST_F(PortsTest, EveryStepOfCuttingAHostOff) {
    options_.allowedHosts = {kA, kB};
    auto tree = std::make_shared<FailingTree>(nvmet_);
    int unlinks = 0, links = 0;
    for (int at = 1; at < 100; ++at) {
        auto started = Target::start(kThree, options_, tree);
        ASSERT_TRUE(started.ok()) << started.error().message;
        const auto target = started.take();
        watchCuts(*target);
        tree->arm(at, EIO);
        const auto changed = target->setAllowedHosts({kA});
        const std::string failed = tree->failed();
        tree->arm(0, 0);
        if (failed.empty()) break;
        const bool port = failed.find("/ports/") != std::string::npos;
        if (port && failed.starts_with("unlink ")) {
            ++unlinks;
            EXPECT_EQ(served(*target), kAll) << failed;
        } else if (port && failed.starts_with("link ")) {
            ++links;
            EXPECT_EQ(served(*target).size(), 2u) << failed;
        }
        EXPECT_TRUE(target->setAllowedHosts({kA}).ok()) << failed;
        EXPECT_EQ(served(*target), kAll) << failed;
        EXPECT_THAT(cuts_, ElementsAre(Pair(_, 1), Pair(_, 1), Pair(_, 1))) << failed;
        nvmet_->beforeUnlink = nullptr;
    }
    nvmet_->beforeUnlink = nullptr;
    EXPECT_EQ(unlinks, 3);
    EXPECT_EQ(links, 3);
}

// With nobody at an address that has gone.
TEST_F(PortsTest, AnAddressThatHasGoneIsNoObstacleToCuttingAHostOff) {
    options_.allowedHosts = {kA, kB};
    auto target = tryStart();
    ASSERT_TRUE(target.ok());
    setAbsent({"127.0.0.1"});
    const auto changed = target.value()->setAllowedHosts({kA});
    EXPECT_TRUE(changed.ok()) << changed.error().message;
    EXPECT_EQ(served(*target.value()), std::set<std::string>{"127.0.0.2:4420"});
    setAbsent({});
    EXPECT_TRUE(comesToBeServed(*target.value(), kAll));
}

TEST_F(PortsTest, NothingIsAddedAfterTheEnd) {
    nvmet_->absent = {"127.0.0.2"};
    auto target = tryStart();
    ASSERT_TRUE(target.ok());
    target.value()->cutOff();
    setAbsent({});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // many attempts long
    EXPECT_TRUE(served(*target.value()).empty());
}

// Whatever step fails, nothing stays behind.
TEST_F(PortsTest, EveryStepOfAStart) {
    const TreeSnapshot before = snapshot();
    auto tree = std::make_shared<FailingTree>(nvmet_);
    for (int at = 1; at < 1000; ++at) {
        tree->arm(at, EIO);
        auto started = Target::start(kThree, options_, tree);
        const std::string failed = tree->failed();
        tree->arm(0, 0);
        if (started.ok()) started.value().reset();
        start().reset();  // removes what a failure to remove left behind
        EXPECT_EQ(snapshot(), before) << failed;
        if (failed.empty()) return;
    }
    FAIL() << "it has no end";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
