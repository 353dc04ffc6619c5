// SPDX-License-Identifier: Apache-2.0
// Segments on the real pool, on a file with a bad block, in a kernel that the test controls: an
// error of the medium is that of the requests that touch it.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "housekeeper.h"
#include "pool_fixture.h"
#include "remote_segments.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using io::FakeAio;
using io::kBlock;

constexpr uint64_t kSize = 32 << 20;
constexpr uint64_t kBad = 1 << 20;  // where the bad block is
constexpr uint64_t kGood = 2 << 20;
constexpr auto kLimit = 60s;

struct Done {
    int times = 0;
    int error = -1;
};

struct Link final : Connection {
    const std::string& subsystemNqn() const override { return nqn; }
    bool isLive() const override { return true; }
    bool isReconnecting() const override { return false; }
    bool isOurs() const override { return true; }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>&) override { return true; }
    void giveUp() override {}
    const std::string nqn = "nqn.2026-01.org.example:node";
};

/// Its one namespace is a file, and always there.
class FileInitiator final : public Initiator {
 public:
    explicit FileInitiator(std::string path) : path_(std::move(path)) {}
    Result<std::shared_ptr<Connection>> connect(const TransportAddresses&,
                                                const std::string&) override {
        return link_;
    }
    Result<RemoteNamespace> openNamespace(const Connection&, uint32_t, uint64_t size, int flags,
                                          std::chrono::steady_clock::time_point) override {
        ++opens;
        UniqueFd fd(open(path_.c_str(), O_RDWR | O_CLOEXEC | flags));
        if (!fd.valid()) return makeError(errno, "open");
        return RemoteNamespace{std::move(fd), path_, size, kBlock};
    }
    std::atomic<int> opens{0};

 private:
    const std::string path_;
    const std::shared_ptr<Connection> link_ = std::make_shared<Link>();
};

class MediumErrorTest : public ::testing::Test, protected RequestOwner {
 protected:
    MediumErrorTest() {
        aio_->onComplete = [](const FakeAio::Io& io) -> std::optional<int64_t> {
            if (io.touches(kBad, kBad + kBlock)) return -ENODATA;  // BLK_STS_MEDIUM
            return std::nullopt;
        };
    }
    void start(uint32_t depth) {
        IoOptions options;
        options.queueDepth = depth;
        auto made = io::createPool(options, share(aio_));
        ASSERT_TRUE(made.ok()) << made.error().message;
        pool_ = made.take();
        SegmentContext context;
        context.describe = [](uint64_t, bool) -> Result<RemoteDescriptor> {
            RemoteDescriptor descriptor;
            descriptor.segment = "node";
            descriptor.addresses = {{"tcp", "ipv4", "192.0.2.1", "4420"}};
            descriptor.subsystemNqn = "nqn.2026-01.org.example:node";
            descriptor.files = {{1, {1, kSize, "file", "/file"}}};
            return descriptor;
        };
        context.initiator = &initiator_;
        context.pool = pool_.get();
        context.owner = this;
        context.patience = kLimit;
        context.downLimit = kLimit;
        context.callAt = [this](Clock::time_point when) { housekeeper_->callAt(when); };
        housekeeper_ = std::make_unique<Housekeeper>([this](Clock::time_point now) {
            RemoteSegments* const known = due_;
            return known ? known->keepHouse(now) : Clock::time_point::max();
        });
        ASSERT_TRUE(housekeeper_->start().ok());
        segments_ = std::make_unique<RemoteSegments>(context);
        due_ = segments_.get();
        segments_->prepare(0);
        Done first;
        submit(IoOp::kRead, memory_.data(), 0, kBlock, first);
        ASSERT_EQ(wait(first), 0);
        holds_ = true;
    }
    void TearDown() override {
        holds_ = false;
        aio_->release();
        if (segments_) segments_->stop();
        due_ = nullptr;
        housekeeper_.reset();
        pool_.reset();
        segments_.reset();
    }

    void submit(IoOp op, void* memory, uint64_t offset, uint64_t length, Done& done) {
        const RemoteSegments::Request request{0, 1, 0, {op, memory, offset, length, &done}};
        segments_->submit(&request, 1);
    }
    int wait(Done& done) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, kLimit, [&] { return done.times > 0; }));
        return done.error;
    }
    bool held(size_t count) {
        return aio_->waitUntil([&] { return aio_->held() == count; });
    }

    Place placeOf(const void*) const noexcept override { return {0, 1}; }
    Clock::time_point submittedAt(const void*) const noexcept override { return Clock::now(); }
    void onEnded(void* context, int error, uint64_t, FileCounters&) noexcept override {
        std::lock_guard lock(mutex_);
        auto& done = *static_cast<Done*>(context);
        ++done.times;
        done.error = error;
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::atomic<bool> holds_{false};
    std::shared_ptr<FakeAio> aio_ = std::make_shared<FakeAio>();
    io::TempFile file_{kSize};
    FileInitiator initiator_{file_.path()};
    io::Memory memory_{kBlock};
    std::unique_ptr<IoPool> pool_;
    std::unique_ptr<Housekeeper> housekeeper_;
    std::unique_ptr<RemoteSegments> segments_;
    std::atomic<RemoteSegments*> due_{nullptr};
};

// A write of a part of a block is under way; after the error comes one of another part. With two
// openings of the namespace each would write back what it had read, and one would be lost.
TEST_F(MediumErrorTest, LosesNoWriteOfAPartOfABlock) {
    aio_->isHeld = [this](const FakeAio::Io& io) { return holds_ && io.write && io.offset == 0; };
    start(128);
    std::string first(100, 'A'), second(100, 'B');
    Done one, two, bad;
    submit(IoOp::kWrite, first.data(), 0, first.size(), one);
    ASSERT_TRUE(held(1));
    submit(IoOp::kRead, memory_.data(), kBad, kBlock, bad);
    EXPECT_EQ(wait(bad), ENODATA);
    Done after;
    submit(IoOp::kRead, memory_.data(), kGood, kBlock, after);
    EXPECT_EQ(wait(after), 0) << "requests go on after a look";
    submit(IoOp::kWrite, second.data(), 200, second.size(), two);
    holds_ = false;
    aio_->release();
    EXPECT_EQ(wait(one), 0);
    EXPECT_EQ(wait(two), 0);
    const auto block = file_.read(0, kBlock);
    EXPECT_EQ(std::string(block.data(), 100), first);
    EXPECT_EQ(std::string(block.data() + 200, 100), second);
    EXPECT_EQ(initiator_.opens, 1);
}

// Of which the kernel has a part, and the rest waits.
TEST_F(MediumErrorTest, FailsNoLargeRequestOfGoodBlocks) {
    aio_->isHeld = [this](const FakeAio::Io& io) { return holds_ && io.offset >= kBad; };
    start(4);
    io::Memory large(16 << 20);
    Done good, bad;
    submit(IoOp::kRead, memory_.data(), kBad, kBlock, bad);
    ASSERT_TRUE(held(1));
    submit(IoOp::kRead, large.data(), kGood, 16 << 20, good);
    ASSERT_TRUE(held(4));
    holds_ = false;
    aio_->release();
    EXPECT_EQ(wait(bad), ENODATA);
    EXPECT_EQ(wait(good), 0);
}

// Of which the kernel has read the block, and not written it.
TEST_F(MediumErrorTest, FailsNoWriteOfAPartOfAGoodBlock) {
    aio_->isHeld = [this](const FakeAio::Io& io) {
        return holds_ && (io.offset == kBad || (io.offset == 0 && !io.write));
    };
    start(128);
    std::string part(100, 'A');
    Done good, bad;
    submit(IoOp::kRead, memory_.data(), kBad, kBlock, bad);
    ASSERT_TRUE(held(1));
    submit(IoOp::kWrite, part.data(), 0, part.size(), good);
    ASSERT_TRUE(held(2));
    holds_ = false;
    aio_->release();
    EXPECT_EQ(wait(bad), ENODATA);
    EXPECT_EQ(wait(good), 0);
    const auto block = file_.read(0, kBlock);
    EXPECT_EQ(std::string(block.data(), 100), part);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
