// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "fake_transport.h"
#include "transport/progress_source.h"

namespace mooncake::test {

// A transport that works on the threads of those who ask.
class DrivenTransport : public FakeTransport, public ProgressSource {
 public:
    explicit DrivenTransport(Options options) : FakeTransport(std::move(options)) {}
    void enableProgress() override { ++enabled; }
    bool progress() override {
        ++polls;
        if (!ready) return false;
        endAll(true);
        return true;
    }
    bool waitForProgress(std::chrono::nanoseconds limit) override {
        ++waits;
        longest = std::max(longest.load(), limit);
        if (ready) endAll(true);
        return ready;
    }

    std::atomic<int> enabled{0};
    std::atomic<int> polls{0};
    std::atomic<int> waits{0};
    std::atomic<bool> ready{false};
    std::atomic<std::chrono::nanoseconds> longest{};
};

}  // namespace mooncake::test
