// SPDX-License-Identifier: Apache-2.0
// What the directory is told of the files that a client serves.
#include <future>

#include "threadless_client.h"

namespace mooncake::store {
namespace {

using mooncake::test::kForever;
using mooncake::test::kMiB;

// Holds calls of a name until it is opened.
class Barrier {
 public:
    FaultyDirectory::Hook before(const std::string& call) {
        return [this, call](const std::string& name, Deadline) -> Result<> {
            if (name != call) return {};
            std::unique_lock lock(mutex_);
            ++waiting_;
            changed_.notify_all();
            changed_.wait(lock, [&] { return is_open_; });
            return {};
        };
    }
    void awaitOne() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting_ != 0; });
    }
    void open() {
        const std::lock_guard lock(mutex_);
        is_open_ = true;
        changed_.notify_all();
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int waiting_ = 0;
    bool is_open_ = false;
};

class MountedFilesTest : public ThreadlessClientTest {
 protected:
    static Deadline soon() { return DirectoryStub::soon(); }
    std::string pathOf(const std::string& name) const { return folder.path() + "/" + name; }
    // The number of files that the directory says to be served.
    size_t served() const {
        const auto files = one->directory.real().files(soon());
        size_t count = 0;
        for (const FileInfo& file : *files) count += file.mount.has_value();
        return count;
    }
    size_t own() const {
        const auto files = one->files.files();
        size_t count = 0;
        for (const auto& [number, file] : *files) count += file.own.has_value();
        return count;
    }
    void mountSecond() {
        ASSERT_TRUE(one->mounted.mount(folder.file("second", 33 * kMiB), false, soon()));
        ASSERT_EQ(served(), 2u);
        ASSERT_EQ(own(), 2u);
    }
    void joinAnew() {
        ASSERT_TRUE(one->directory.leave(soon()));
        ASSERT_TRUE(one->directory.join("one", soon()));
        ASSERT_EQ(served(), 0u);
    }
    // Whoever makes room asks for them all the time.
    void expectNumbersAtOnce() {
        auto asked = std::async(std::launch::async, [&] { return one->mounted.numbers().size(); });
        EXPECT_EQ(asked.wait_for(kForever), std::future_status::ready)
            << "it waits for the directory";
        barrier.open();
        EXPECT_EQ(asked.get(), 1u);
    }

    Barrier barrier;
    const std::unique_ptr<ThreadlessClient> one = client("one");
};

// --- After a lease that was lost

// What has become of one file is no matter of the others, nor of the client.
TEST_F(MountedFilesTest, AFileThatIsRefusedKeepsNoOtherOne) {
    one->mountFile(folder, 8);
    mountSecond();
    for (const Failure failure : {Failure::kInvalid, Failure::kNotFound, Failure::kConflict}) {
        joinAnew();
        bool is_over = false;
        one->directory.setHooks(
            [&](const std::string& call, Deadline) -> Result<> {
                const char* const which = failure == Failure::kInvalid ? "addFile" : "mountFile";
                if (call != which || std::exchange(is_over, true)) return {};
                return failed(failure, "as the test wants it");
            },
            nullptr);
        const auto announced = one->mounted.announce(soon());
        EXPECT_TRUE(announced) << announced.error().message;
        EXPECT_TRUE(is_over);
        EXPECT_EQ(served(), 1u);
        EXPECT_EQ(own(), 1u) << "what nobody is told of is not served";
    }
    one->directory.setHooks(nullptr, nullptr);
    joinAnew();
    EXPECT_TRUE(one->mounted.announce(soon()));
    EXPECT_EQ(served(), 2u);
    EXPECT_EQ(own(), 2u);
}

// Without an answer the client is none yet, and both are told again.
TEST_F(MountedFilesTest, WithoutAnAnswerItIsSaidAgain) {
    one->mountFile(folder, 8);
    mountSecond();
    joinAnew();
    bool is_over = false;
    one->directory.setHooks(
        [&](const std::string& call, Deadline) -> Result<> {
            if (call != "mountFile" || std::exchange(is_over, true)) return {};
            return failed(Failure::kTimeout, "no answer");
        },
        nullptr);
    EXPECT_FALSE(one->mounted.announce(soon()));
    EXPECT_EQ(served(), 1u);
    EXPECT_TRUE(one->mounted.announce(soon()));
    EXPECT_EQ(served(), 2u);
}

TEST_F(MountedFilesTest, AMountWhoseLeaseEndsMeanwhileIsToldAgain) {
    bool is_over = false;
    one->directory.setHooks(nullptr, [&](const std::string& call, Deadline) -> Result<> {
        if (call == "mountFile" && !std::exchange(is_over, true)) joinAnew();
        return {};
    });
    one->mountFile(folder, 8);
    ASSERT_TRUE(is_over);
    ASSERT_EQ(served(), 0u);
    ASSERT_TRUE(one->mounted.isInDoubt());
    EXPECT_TRUE(one->mounted.reconcile(soon()));
    EXPECT_EQ(served(), 1u);
    EXPECT_FALSE(one->mounted.isInDoubt());
}

// --- A directory that says something else

// It was set back, say.
TEST_F(MountedFilesTest, WhatTheDirectoryHasForgottenIsToldAgain) {
    const FileNumber file = one->mountFile(folder, 8);
    ASSERT_TRUE(one->directory.real().unmountFile(file, soon()));
    ASSERT_EQ(served(), 0u);
    EXPECT_TRUE(one->mounted.reconcile(soon()));
    EXPECT_EQ(served(), 1u);
    EXPECT_EQ(one->mounted.numbers(), std::vector<FileNumber>{file});
    // Also where the file has another number then.
    ASSERT_TRUE(one->directory.real().unmountFile(file, soon()));
    ASSERT_TRUE(one->directory.real().giveUpFile(file, soon()));
    EXPECT_TRUE(one->mounted.reconcile(soon()));
    EXPECT_EQ(served(), 1u);
    ASSERT_EQ(one->mounted.numbers().size(), 1u);
    EXPECT_NE(one->mounted.numbers().front(), file);
    EXPECT_EQ(one->put("key", 5000), ErrorCode::OK);
    EXPECT_EQ(one->get("key", 5000), ErrorCode::OK);
}

// A mount that nobody serves would have readers wait.
TEST_F(MountedFilesTest, WhatIsNotServedIsUnmounted) {
    const KnownFile other = one->directory.addKnownFile();
    ASSERT_TRUE(one->directory.real().mountFile(
        other.info.number, Mount{0, "one", "127.0.0.1:1", 7, "/other"}, soon()));
    ASSERT_EQ(served(), 1u);
    EXPECT_TRUE(one->mounted.reconcile(soon()));
    EXPECT_EQ(served(), 0u);
}

// --- A directory that does not answer

TEST_F(MountedFilesTest, AnnouncingHoldsNobodyUp) {
    one->mountFile(folder, 8);
    for (const std::string call : {"addFile", "mountFile"}) {
        joinAnew();
        one->directory.setHooks(barrier.before(call), nullptr);
        auto announced =
            std::async(std::launch::async, [&] { return one->mounted.announce(soon()); });
        barrier.awaitOne();
        expectNumbersAtOnce();
        EXPECT_TRUE(announced.get());
        EXPECT_EQ(served(), 1u);
        one->directory.setHooks(nullptr, nullptr);
    }
}

TEST_F(MountedFilesTest, ReconcilingHoldsNobodyUp) {
    const FileNumber file = one->mountFile(folder, 8);
    const KnownFile other = one->directory.addKnownFile();
    for (const std::string call : {"files", "mountFile", "unmountFile"}) {
        SCOPED_TRACE(call);
        ASSERT_TRUE(one->directory.real().unmountFile(file, soon()));
        ASSERT_TRUE(one->directory.real().mountFile(
            other.info.number, Mount{0, "one", "127.0.0.1:1", 7, "/other"}, soon()));
        one->directory.setHooks(barrier.before(call), nullptr);
        auto reconciled =
            std::async(std::launch::async, [&] { return one->mounted.reconcile(soon()); });
        barrier.awaitOne();
        expectNumbersAtOnce();
        EXPECT_TRUE(reconciled.get());
        EXPECT_EQ(served(), 1u);
        one->directory.setHooks(nullptr, nullptr);
    }
}

// Each call keeps its own limit of time, whatever another one waits for.
TEST_F(MountedFilesTest, NobodyWaitsForAnotherMountLongerThanItsOwnTime) {
    one->mountFile(folder, 8);
    const std::string second = folder.file("second", 33 * kMiB);
    one->directory.setHooks(barrier.before("mountFile"), nullptr);
    auto mounted =
        std::async(std::launch::async, [&] { return one->mounted.mount(second, false, soon()); });
    barrier.awaitOne();
    auto others = std::async(std::launch::async, [&] {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
        const auto third = one->mounted.mount(folder.file("third", 33 * kMiB), false, limit);
        const auto first = one->mounted.unmount(pathOf("one"), limit);
        return std::make_pair(third ? Failure::kInternal : third.error().failure,
                              first ? Failure::kInternal : first.error().failure);
    });
    EXPECT_EQ(others.wait_for(kForever), std::future_status::ready);
    barrier.open();
    EXPECT_EQ(others.get(), std::make_pair(Failure::kTimeout, Failure::kTimeout));
    EXPECT_TRUE(mounted.get());
    EXPECT_EQ(served(), 2u);
    EXPECT_TRUE(one->mounted.unmount(pathOf("one"), soon()));
    EXPECT_FALSE(one->mounted.isInDoubt());
}

// The directory hears of the file when that is unmounted already.
TEST_F(MountedFilesTest, WhatIsUnmountedMeanwhileIsNotServed) {
    one->mountFile(folder, 8);
    joinAnew();
    one->directory.setHooks(barrier.before("mountFile"), nullptr);
    auto announced = std::async(std::launch::async, [&] { return one->mounted.announce(soon()); });
    barrier.awaitOne();
    EXPECT_TRUE(one->mounted.unmount(pathOf("one"), soon()));
    barrier.open();
    EXPECT_TRUE(announced.get());
    EXPECT_EQ(own(), 0u);
    EXPECT_EQ(served(), 1u) << "which is wrong";
    EXPECT_TRUE(one->mounted.isInDoubt()) << "and known to be";
    EXPECT_TRUE(one->mounted.reconcile(soon()));
    EXPECT_EQ(served(), 0u);
    EXPECT_FALSE(one->mounted.isInDoubt());
}

}  // namespace
}  // namespace mooncake::store
