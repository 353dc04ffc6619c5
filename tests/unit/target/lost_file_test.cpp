// SPDX-License-Identifier: Apache-2.0
// Files that stop being what they were, and disks that do not let go of them.
#include <gmock/gmock.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "orphans.h"
#include "target_fixture.h"
#include "target_process.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr uint64_t kSize = 8192;
constexpr std::chrono::seconds kLimit{30};

class LostFileTest : public TargetTest {
 protected:
    LostFileTest() {
        options_.fileLost = [this](uint32_t nsid) {
            std::lock_guard guard(mutex_);
            lost_.insert(nsid);
            told_.notify_all();
        };
    }
    bool waitForLoss(uint32_t nsid) {
        std::unique_lock lock(mutex_);
        return told_.wait_for(lock, kLimit, [&] { return lost_.contains(nsid); });
    }
    size_t losses() {
        std::lock_guard guard(mutex_);
        return lost_.size();
    }

    std::mutex mutex_;
    std::condition_variable told_;
    std::set<uint32_t> lost_;
};

// Case 6: each way in which a file goes.
TEST_F(LostFileTest, IsExportedNoMore) {
    auto target = start();
    const std::string paths[] = {files_.file("1", kSize), files_.file("2", kSize),
                                 files_.file("3", kSize), files_.file("4", kSize)};
    const std::string neighbour = files_.file("neighbour", kSize);
    const TreeSnapshot before = snapshot();
    for (uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(target->addFile(i + 1, paths[i], kSize).ok());
    ASSERT_TRUE(target->addFile(9, neighbour, kSize).ok());

    std::filesystem::resize_file(paths[0], kSize / 2);
    std::filesystem::remove(paths[1]);
    std::filesystem::rename(files_.file("new", kSize), paths[2]);
    std::filesystem::rename(paths[3], files_.path() + "/moved");
    for (uint32_t nsid = 1; nsid <= 4; ++nsid) {
        ASSERT_TRUE(waitForLoss(nsid)) << nsid;
        EXPECT_FALSE(target->exports(nsid));
        // Gone already, or on its way.
        const auto removed = target->removeFile(nsid);
        EXPECT_TRUE(removed.ok() || removed.error().code == ENOENT) << removed.error().message;
    }
    EXPECT_EQ(losses(), 4u);
    EXPECT_TRUE(target->exports(9));
    EXPECT_THAT(pathsWith(snapshot(), "/enable"), SizeIs(2));  // the neighbour's and the port's
    ASSERT_TRUE(target->removeFile(9).ok());
    EXPECT_EQ(snapshot(), before);
    // What is there now may be registered again, under a new id.
    EXPECT_EQ(errorOf(target->addFile(3, paths[2], kSize)).code, EEXIST);
    EXPECT_TRUE(target->addFile(10, paths[2], kSize).ok());
}

TEST_F(LostFileTest, IsNotOneThatWasTakenBack) {
    auto target = start();
    const std::string path = files_.file("file", kSize), other = files_.file("other", kSize);
    ASSERT_TRUE(target->addFile(1, path, kSize).ok());
    ASSERT_TRUE(target->removeFile(1).ok());
    std::filesystem::remove(path);
    ASSERT_TRUE(target->addFile(2, other, kSize).ok());
    std::filesystem::remove(other);
    ASSERT_TRUE(waitForLoss(2));
    EXPECT_EQ(losses(), 1u);
}

TEST_F(LostFileTest, IsNotOneThatIsOnlyWritten) {
    auto target = start();
    const std::string path = files_.file("file", kSize), other = files_.file("other", kSize);
    ASSERT_TRUE(target->addFile(1, path, kSize).ok());
    ASSERT_TRUE(target->addFile(2, other, kSize).ok());
    std::fstream(path).put('y').flush();
    std::filesystem::remove(other);
    ASSERT_TRUE(waitForLoss(2));
    EXPECT_TRUE(target->exports(1));
}

/// Removals that hang, until they are let go.
class HungDiskTest : public LostFileTest {
 protected:
    HungDiskTest() { options_.removalLimit = std::chrono::milliseconds(200); }
    ~HungDiskTest() override { recover(); }

    // From now on; in the tree of any process or target.
    void hang(const std::string& namespacePath) { nvmet_->beforeRemoval = hangAt(namespacePath); }
    void hangAtUnlink(const std::string& link) { nvmet_->beforeUnlink = hangAt(link); }
    bool hangs() {
        std::unique_lock lock(disk_->mutex);
        return disk_->changed.wait_for(lock, kLimit, [this] { return disk_->hanging; });
    }
    void recover() {
        std::lock_guard guard(disk_->mutex);
        disk_->recovered = true;
        disk_->changed.notify_all();
    }
    // What must not wait for the disk. If it does, the test fails and goes on.
    template <class Call>
    auto inTime(Call call) {
        auto result = std::async(std::launch::async, std::move(call));
        if (result.wait_for(kLimit) != std::future_status::ready) {
            ADD_FAILURE() << "waits for the disk that hangs";
            recover();
        }
        return result.get();
    }
    template <class Condition>
    bool eventually(Condition condition) {
        const auto limit = std::chrono::steady_clock::now() + kLimit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > limit) return false;
            std::this_thread::yield();
        }
        return true;
    }
    // However slow this machine is: what a test leaves in the tree must be none of its targets'.
    void takeBack(Target& target, uint32_t nsid) {
        EXPECT_TRUE(eventually([&] {
            const auto removed = target.removeFile(nsid);
            return removed.ok() || removed.error().code == ENOENT;
        })) << nsid;
    }
    // Takes the file back whose disk hangs, until it does hang.
    void takeBackInVain(Target& target, uint32_t nsid) {
        EXPECT_EQ(errorOf(inTime([&] { return target.removeFile(nsid); })).code, EBUSY);
        ASSERT_TRUE(hangs());
    }
    bool gone(const std::string& path) {
        return nvmet_->exists(nvmetDir_.path() + "/" + path) == ENOENT;
    }

 private:
    // Outlives the test, whose threads may still be at it.
    struct Disk {
        std::mutex mutex;
        std::condition_variable changed;
        bool hanging = false, recovered = false;
    };

    std::function<void(const std::string&)> hangAt(const std::string& tail) {
        return [disk = disk_, tail](const std::string& path) {
            if (!path.ends_with(tail)) return;
            std::unique_lock lock(disk->mutex);
            disk->hanging = true;
            disk->changed.notify_all();
            disk->changed.wait(lock, [&] { return disk->recovered; });
        };
    }

    const std::shared_ptr<Disk> disk_ = std::make_shared<Disk>();
};

// Case 19: nobody waits for ever, and everybody is told what he would have waited for.
TEST_F(HungDiskTest, HoldsNobodyUpForEver) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    const std::string hung = files_.file("hung", kSize), good = files_.file("good", kSize);
    const std::string fresh = files_.file("new", kSize);
    ASSERT_TRUE(target->addFile(1, hung, kSize).ok());
    ASSERT_TRUE(target->addFile(2, good, kSize).ok());
    hang(target->subsystemNqn() + "/namespaces/1");
    takeBackInVain(*target, 1);

    const auto blamesTheHungOne = AllOf(HasSubstr("namespace 1 ('" + hung + "')"),
                                        HasSubstr("until its disk has ended the I/O"));
    const Error own = errorOf(inTime([&] { return target->removeFile(1); }));
    EXPECT_EQ(own.code, EBUSY);
    EXPECT_THAT(own.message, blamesTheHungOne);
    EXPECT_FALSE(target->exports(1));
    const Error added = errorOf(inTime([&] { return target->addFile(3, fresh, kSize); }));
    EXPECT_EQ(added.code, EBUSY);
    EXPECT_THAT(added.message, AllOf(HasSubstr(fresh), blamesTheHungOne));
    const Error removed = errorOf(inTime([&] { return target->removeFile(2); }));
    EXPECT_EQ(removed.code, EBUSY);
    EXPECT_THAT(removed.message, AllOf(HasSubstr(good), blamesTheHungOne));
    EXPECT_EQ(errorOf(target->addFile(4, hung, kSize)).code, EEXIST);
    auto other = start();  // another engine on this host
    EXPECT_TRUE(other->addFile(1, fresh, kSize).ok());
    takeBack(*other, 1);

    // It all goes its way when the disk answers again.
    recover();
    takeBack(*target, 1);
    takeBack(*target, 2);
    EXPECT_TRUE(target->addFile(3, fresh, kSize).ok());
    EXPECT_TRUE(target->addFile(5, hung, kSize).ok());
    takeBack(*target, 3);
    takeBack(*target, 5);
    target.reset();
    other.reset();
    EXPECT_TRUE(eventually([&] { return gone("ports/40000"); }));  // the last of their objects
    EXPECT_EQ(snapshot(), before);
}

// Cases 6 and 19: nor is another file's loss overlooked.
TEST_F(HungDiskTest, HidesNoOtherLoss) {
    auto target = start();
    const std::string hung = files_.file("hung", kSize), good = files_.file("good", kSize);
    hang(target->subsystemNqn() + "/namespaces/1");
    ASSERT_TRUE(target->addFile(1, hung, kSize).ok());
    ASSERT_TRUE(target->addFile(2, good, kSize).ok());
    std::filesystem::remove(hung);
    ASSERT_TRUE(waitForLoss(1));
    ASSERT_TRUE(hangs());
    std::filesystem::remove(good);
    EXPECT_TRUE(waitForLoss(2));
    recover();
    takeBack(*target, 1);
    takeBack(*target, 2);
}

// Case 19: the end of a target is bounded, too; what is left goes later.
TEST_F(HungDiskTest, DoesNotKeepATargetFromItsEnd) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    const std::string nqn = target->subsystemNqn();
    ASSERT_TRUE(target->addFile(1, files_.file("good", kSize), kSize).ok());
    ASSERT_TRUE(target->addFile(2, files_.file("hung", kSize), kSize).ok());
    hang(nqn + "/namespaces/2");
    inTime([&] { target.reset(); });
    ASSERT_TRUE(hangs());
    const TreeSnapshot left = snapshot();
    EXPECT_THAT(pathsWith(left, nqn + "/namespaces/2"), Not(IsEmpty()));
    EXPECT_THAT(pathsWith(left, nqn + "/namespaces/1"), IsEmpty());
    EXPECT_THAT(pathsWith(left, "ports/40000/subsystems/"), IsEmpty()) << "no host comes any more";
    // It is nobody's orphan yet: who is still at it, holds its lock.
    const OrphanReport report = removeOrphans({nvmet_, nvmetDir_.path()}, kLimit);
    EXPECT_THAT(report.removed, IsEmpty());
    EXPECT_THAT(report.failures, IsEmpty());
    recover();
    // The last of its objects, and the lock under which it goes.
    EXPECT_TRUE(
        eventually([&] { return gone("ports/40000") && gone("hosts/mooncake-nvmeof-lock"); }));
    EXPECT_EQ(snapshot(), before);
}

// Cases 16 and 19: an orphan on a hung disk keeps no target from its start.
TEST_F(HungDiskTest, DoesNotKeepATargetFromItsStart) {
    const TreeSnapshot before = snapshot();
    const std::string hung = files_.file("hung", kSize), good = files_.file("good", kSize);
    const auto startProcess = [&](const std::string& file) {
        auto process = std::make_unique<TargetProcess>([&] {
            auto started = Target::start(kLoopback, options_, nvmet_);
            if (!started.ok()) return std::string();
            static std::unique_ptr<Target> kept = started.take();
            return kept->addFile(1, file, kSize).ok() ? kept->subsystemNqn() : std::string();
        });
        EXPECT_NE(process->nqn(), "");
        return process;
    };
    auto a = startProcess(hung), b = startProcess(good);
    const std::string hungNqn = a->nqn(), goodNqn = b->nqn();
    a->kill();
    b->kill();
    hang(hungNqn + "/namespaces/1");
    auto target = inTime([&] { return start(); });
    ASSERT_NE(target, nullptr);
    EXPECT_TRUE(eventually([&] { return gone("subsystems/" + goodNqn); }));
    EXPECT_THAT(pathsWith(snapshot(), hungNqn + "/namespaces/1"), Not(IsEmpty()));
    EXPECT_TRUE(target->addFile(1, good, kSize).ok());
    takeBack(*target, 1);
    recover();
    EXPECT_TRUE(eventually([&] { return gone("subsystems/" + hungNqn); }));
    target.reset();
    EXPECT_TRUE(eventually([&] { return gone("ports/40000"); }));
    EXPECT_EQ(snapshot(), before);
}

// Cases 19 and 22: who takes a host off the list is told when the kernel does not cut it off yet,
// and it is done when the kernel goes on, once.
TEST_F(HungDiskTest, DoesNotHoldUpWhoChangesTheListOfHosts) {
    const std::string a = "nqn.2014-08.org:a", b = "nqn.2014-08.org:b";
    options_.allowedHosts = {a, b};
    const TreeSnapshot before = snapshot();
    auto target = start();
    const std::string nqn = target->subsystemNqn();
    hangAtUnlink("/ports/40000/subsystems/" + nqn);
    const auto takeOff = [&] { return target->setAllowedHosts({a}); };
    for (int i = 0; i < 2; ++i) {
        const Error busy = errorOf(inTime(takeOff));
        EXPECT_EQ(busy.code, EBUSY);
        EXPECT_THAT(busy.message, HasSubstr("ports/40000 yet"));
        ASSERT_TRUE(hangs());
    }
    EXPECT_TRUE(gone("subsystems/" + nqn + "/allowed_hosts/" + b)) << "it cannot come again";
    recover();
    EXPECT_TRUE(eventually([&] { return takeOff().ok(); }));
    EXPECT_FALSE(gone("ports/40000/subsystems/" + nqn)) << "the others are served again";
    target.reset();
    EXPECT_TRUE(eventually([&] { return gone("ports/40000"); }));
    EXPECT_EQ(snapshot(), before);
}

// Case 19: likewise, at the end.
TEST_F(HungDiskTest, DoesNotKeepATargetFromItsEndByItsPort) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    const std::string nqn = target->subsystemNqn();
    hangAtUnlink("/ports/40000/subsystems/" + nqn);
    inTime([&] { target.reset(); });
    ASSERT_TRUE(hangs());
    recover();
    // What it could not take along is the next one's.
    EXPECT_TRUE(eventually([&] {
        start().reset();
        return gone("ports/40000") && gone("subsystems/" + nqn);
    }));
    EXPECT_EQ(snapshot(), before);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
