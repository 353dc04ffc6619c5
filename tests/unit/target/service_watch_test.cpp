// SPDX-License-Identifier: Apache-2.0
// What others do to a target's objects while it serves.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "log_lines.h"
#include "target_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::LogLines;
using testing::ElementsAre;
using testing::IsEmpty;

class ServiceWatchTest : public TargetTest {
 protected:
    ServiceWatchTest() {
        options_.lookInterval = std::chrono::milliseconds(1);
        options_.fileLost = [this](uint32_t nsid) {
            std::lock_guard guard(mutex_);
            lost_.insert(nsid);
        };
    }
    void serve() {
        target_ = start();
        ASSERT_NE(target_, nullptr);
        subsystem_ = nvmetDir_.path() + "/subsystems/" + target_->subsystemNqn();
        link_ = nvmetDir_.path() + "/ports/40000/subsystems/" + target_->subsystemNqn();
        for (uint32_t nsid : {1, 2, 3}) {
            ASSERT_TRUE(target_->addFile(nsid, files_.file(std::to_string(nsid), 4096), 4096).ok());
        }
    }
    std::set<uint32_t> lost() {
        std::lock_guard guard(mutex_);
        return lost_;
    }
    bool comesToLose(const std::set<uint32_t>& wanted) {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (lost() != wanted && std::chrono::steady_clock::now() < limit) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return lost() == wanted;
    }

    std::mutex mutex_;
    std::set<uint32_t> lost_;
    std::unique_ptr<Target> target_;
    std::string subsystem_, link_;
};

TEST_F(ServiceWatchTest, ANamespaceThatIsRemovedOrDisabled) {
    serve();
    ASSERT_EQ(nvmet_->removeDir(subsystem_ + "/namespaces/1"), 0);
    ASSERT_EQ(nvmet_->writeFile(subsystem_ + "/namespaces/3/enable", "0"), 0);
    EXPECT_TRUE(comesToLose({1, 3}));
    EXPECT_FALSE(target_->exports(1));
    EXPECT_TRUE(target_->exports(2));
    // What the message tells to do. It may have gone by itself before.
    const auto removed = target_->removeFile(1);
    EXPECT_TRUE(removed.ok() || removed.error().code == ENOENT);
    EXPECT_TRUE(target_->addFile(4, files_.path() + "/1", 4096).ok());
    EXPECT_EQ(lost(), (std::set<uint32_t>{1, 3}));
}

TEST_F(ServiceWatchTest, ASubsystemThatIsRemoved) {
    LogLines lines(google::GLOG_ERROR);
    serve();
    ASSERT_EQ(nvmet_->unlink(link_), 0);
    for (const char* nsid : {"1", "2", "3"}) {
        ASSERT_EQ(nvmet_->removeDir(subsystem_ + "/namespaces/" + nsid), 0);
    }
    ASSERT_EQ(nvmet_->removeDir(subsystem_), 0);
    EXPECT_TRUE(comesToLose({1, 2, 3}));
    EXPECT_TRUE(lines.waitFor("removed " + subsystem_ + ": its files are exported no more"));
    // The file may still be on its way out: told first, then removed.
    auto added = target_->addFile(4, files_.path() + "/1", 4096);
    for (int i = 0; i < 6000 && errorOf(added).code == EEXIST; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        added = target_->addFile(4, files_.path() + "/1", 4096);
    }
    EXPECT_EQ(errorOf(added).code, ENOENT);
    EXPECT_NE(errorOf(added).message.find("start the target again"), std::string::npos);
    target_.reset();
    EXPECT_THAT(pathsWith(snapshot(), "/4"), IsEmpty()) << "no port";
    EXPECT_THAT(pathsWith(snapshot(), "owner"), IsEmpty());
}

TEST_F(ServiceWatchTest, WhoMayConnect) {
    options_.allowedHosts = {"nqn.2014-08.org:a", "nqn.2014-08.org:b"};
    LogLines lines(google::GLOG_ERROR);
    serve();
    ASSERT_EQ(nvmet_->unlink(subsystem_ + "/allowed_hosts/nqn.2014-08.org:b"), 0);
    EXPECT_TRUE(lines.waitFor("allowed_hosts/nqn.2014-08.org:b: that host cannot connect"));
    ASSERT_EQ(nvmet_->unlink(subsystem_ + "/allowed_hosts/nqn.2014-08.org:a"), 0);
    ASSERT_EQ(nvmet_->writeFile(subsystem_ + "/attr_allow_any_host", "1"), 0);
    EXPECT_TRUE(lines.waitFor("attr_allow_any_host: any host may connect"));
    EXPECT_TRUE(lines.waitFor("allowed_hosts/nqn.2014-08.org:a: that host cannot connect"));
    EXPECT_EQ(lines.count("nqn.2014-08.org:b"), 1u) << "once";
    EXPECT_EQ(lost(), std::set<uint32_t>());
}

// It may come back.
TEST_F(ServiceWatchTest, ALinkThatIsRemovedIsToldAndTakesNothingAlong) {
    LogLines lines(google::GLOG_ERROR);
    serve();
    ASSERT_EQ(nvmet_->unlink(link_), 0);
    EXPECT_TRUE(lines.waitFor(link_));
    EXPECT_EQ(lines.count(link_), 1u) << "once";
    EXPECT_EQ(lost(), std::set<uint32_t>());
    EXPECT_TRUE(target_->exports(1));
}

// Taking a host off cuts all for a moment, and files come and go: nothing of it is anybody else's.
TEST_F(ServiceWatchTest, ItsOwnChangesAreNoLoss) {
    options_.allowedHosts = {"nqn.2014-08.org:a", "nqn.2014-08.org:b"};
    LogLines lines(google::GLOG_ERROR);
    serve();
    std::atomic<bool> stop = false;
    std::thread files([&] {
        for (uint32_t nsid = 10; !stop; ++nsid) {
            const std::string path = files_.file("more", 4096);
            EXPECT_TRUE(target_->addFile(nsid, path, 4096).ok());
            EXPECT_TRUE(target_->removeFile(nsid).ok());
        }
    });
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(target_->setAllowedHosts({"nqn.2014-08.org:a"}).ok());
        EXPECT_TRUE(target_->setAllowedHosts(options_.allowedHosts).ok());
    }
    stop = true;
    files.join();
    EXPECT_THAT(lost(), IsEmpty());
    EXPECT_EQ(lines.count("Somebody else"), 0u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
