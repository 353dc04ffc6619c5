// SPDX-License-Identifier: Apache-2.0
// Who may connect, and how that changes while a target runs.
#include <gmock/gmock.h>

#include <cerrno>

#include "failing_tree.h"
#include "target_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kA = "nqn.2014-08.org:a", kB = "nqn.2014-08.org:b", kC = "nqn.2014-08.org:c";

class HostAccessTest : public TargetTest {
 protected:
    HostAccessTest() { options_.allowedHosts = {kA, kB}; }

    std::string subsystem(const Target& target) const {
        return nvmetDir_.path() + "/subsystems/" + target.subsystemNqn();
    }
    std::vector<std::string> allowed(const Target& target) {
        std::vector<std::string> hosts;
        EXPECT_EQ(nvmet_->list(subsystem(target) + "/allowed_hosts", hosts), 0);
        return hosts;
    }
    void watchUnlinks() {
        nvmet_->beforeUnlink = [this](const std::string& path) { unlinked_.push_back(path); };
    }
    std::string portLink(const Target& target) const {
        return nvmetDir_.path() + "/ports/40000/subsystems/" + target.subsystemNqn();
    }

    std::vector<std::string> unlinked_;
};

TEST_F(HostAccessTest, AddingAHostCutsNobodyOff) {
    auto target = start();
    watchUnlinks();
    ASSERT_TRUE(target->setAllowedHosts({kA, kB, kC}).ok());
    EXPECT_THAT(allowed(*target), ElementsAre(kA, kB, kC));
    EXPECT_THAT(unlinked_, IsEmpty());
}

// Case 22: the host can no longer connect before its connection is cut, or it would be back at
// once.
TEST_F(HostAccessTest, TakingAHostOffCutsItsConnection) {
    auto target = start();
    watchUnlinks();
    ASSERT_TRUE(target->setAllowedHosts({kA}).ok());
    EXPECT_THAT(allowed(*target), ElementsAre(kA));
    EXPECT_THAT(unlinked_, ElementsAre(EndsWith("/allowed_hosts/" + kB), portLink(*target)));
    EXPECT_EQ(nvmet_->exists(portLink(*target)), 0) << "the others are served again";
    EXPECT_FALSE(snapshot().contains("hosts/" + kB));

    ASSERT_TRUE(target->setAllowedHosts({}).ok());
    EXPECT_THAT(allowed(*target), IsEmpty());
    EXPECT_EQ(snapshot().at("subsystems/" + target->subsystemNqn() + "/attr_allow_any_host"),
              "0\n");
}

TEST_F(HostAccessTest, OtherTargetsAreNotCut) {
    auto target = start(), other = start();
    watchUnlinks();
    ASSERT_TRUE(target->setAllowedHosts({kA}).ok());
    for (const std::string& path : unlinked_) EXPECT_THAT(path, HasSubstr(target->subsystemNqn()));
    EXPECT_THAT(allowed(*other), ElementsAre(kA, kB));
    EXPECT_TRUE(snapshot().contains("hosts/" + kB));
}

// Case 22: success means that the connection was cut, whatever failed before.
TEST_F(HostAccessTest, EveryStepOfAChange) {
    const TreeSnapshot before = snapshot();
    auto tree = std::make_shared<FailingTree>(nvmet_);
    int failures = 0;
    for (int at = 1; at < 100; ++at) {
        auto started = Target::start(kLoopback, options_, tree);
        ASSERT_TRUE(started.ok()) << started.error().message;
        auto target = started.take();
        watchUnlinks();
        tree->arm(at, EIO);
        const auto changed = target->setAllowedHosts({kA, kC});
        const std::string failed = tree->failed();
        tree->arm(0, 0);
        if (!changed.ok()) {
            ++failures;
            EXPECT_EQ(changed.error().code, EIO);
            const auto again = target->setAllowedHosts({kA, kC});
            EXPECT_TRUE(again.ok()) << again.error().message;
        }
        EXPECT_THAT(allowed(*target), ElementsAre(kA, kC)) << failed;
        EXPECT_THAT(unlinked_, testing::Contains(portLink(*target))) << failed;
        EXPECT_EQ(nvmet_->exists(portLink(*target)), 0) << failed;
        target.reset();
        unlinked_.clear();
        if (failed.empty()) break;
    }
    EXPECT_GE(failures, 6);  // link off, port off, port on; entry, mark, link of the new one
    start().reset();         // removes what a failure to remove left behind
    EXPECT_EQ(snapshot(), before);
}

// Case 22: a host that cannot be added keeps nobody in.
TEST_F(HostAccessTest, TakesHostsOffThoughOthersCannotBeAdded) {
    auto tree = std::make_shared<FailingTree>(nvmet_);
    auto started = Target::start(kLoopback, options_, tree);
    ASSERT_TRUE(started.ok());
    auto target = started.take();
    for (int at = 1; at < 100; ++at) {
        tree->arm(at, EIO);
        const auto changed = target->setAllowedHosts({kA, kC});
        const std::string failed = tree->failed();
        tree->arm(0, 0);
        if (failed.find("hosts/" + kC) != std::string::npos) {
            EXPECT_FALSE(changed.ok());
            EXPECT_THAT(allowed(*target), ElementsAre(kA)) << failed;
            EXPECT_EQ(nvmet_->exists(portLink(*target)), 0);
            return;
        }
        ASSERT_TRUE(target->setAllowedHosts({kA, kB}).ok());
    }
    FAIL() << "no step with " << kC;
}

// Cases 25 and 26: nothing malformed reaches the tree, and a target that lets any host in says that
// it has no list to change.
TEST_F(HostAccessTest, RefusesWhatItCannotDo) {
    auto target = start();
    const TreeSnapshot before = snapshot();
    for (const std::string host : {"", "..", "nqn.2014-08.org:a/b", "nqn.2014-08.org:a,b"}) {
        EXPECT_EQ(errorOf(target->setAllowedHosts({kA, host})).code, EINVAL) << host;
    }
    EXPECT_EQ(snapshot(), before);
    options_.allowedHosts.clear();
    target = start();
    EXPECT_EQ(errorOf(target->setAllowedHosts({kA})).code, EINVAL);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
