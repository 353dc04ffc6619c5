// SPDX-License-Identifier: Apache-2.0
// A transport that cannot say when something ends, beside one that can: waiting looks at it often.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "fake_transport.h"
#include "multi_transport.h"
#include "transport/progress_source.h"

namespace mooncake::test {
namespace {

using std::chrono::nanoseconds;

/// Has nothing to say, and remembers how long it was allowed to wait.
class IdleSource final : public FakeTransport, public ProgressSource {
 public:
    IdleSource()
        : FakeTransport([] {
              Options options;
              options.threads = 0;
              return options;
          }()) {}
    void enableProgress() override {}
    bool progress() override { return false; }
    bool waitForProgress(nanoseconds limit) override {
        if (limit > longest_.load()) longest_ = limit;
        return false;
    }
    nanoseconds longest() const { return longest_; }

 private:
    std::atomic<nanoseconds> longest_{nanoseconds(0)};
};

class BlindTransportTest : public ::testing::Test {
 protected:
    std::shared_ptr<TransferMetadata> metadata_ =
        std::make_shared<TransferMetadata>("http://127.0.0.1:1/metadata");
    MultiTransport transports_{metadata_, "node"};
    std::shared_ptr<IdleSource> source_ = std::make_shared<IdleSource>();
};

TEST_F(BlindTransportTest, IsNotWaitedForLong) {
    ASSERT_EQ(transports_.addTransport("source", source_, nullptr), 0);
    ASSERT_EQ(transports_.addTransport(
                  "blind", std::make_shared<FakeTransport>(FakeTransport::Options{}), nullptr),
              0);
    transports_.waitForProgress(std::chrono::seconds(1));
    EXPECT_LE(source_->longest(), std::chrono::milliseconds(1))
        << "a transfer of the other transport that ends meanwhile is seen only then";
}

TEST_F(BlindTransportTest, IsNotThoughtOfWhereThereIsNone) {
    ASSERT_EQ(transports_.addTransport("source", source_, nullptr), 0);
    transports_.waitForProgress(std::chrono::seconds(1));
    EXPECT_GT(source_->longest(), std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace mooncake::test
