// SPDX-License-Identifier: Apache-2.0
// A pool on a FakeAio, for tests of what the kernel may do.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "fake_aio.h"
#include "io_fixture.h"
#include "pool.h"

namespace mooncake::nvmeof_generic::io {

constexpr uint64_t kBlock = 4096;

/// Somewhere to wait until the test says so.
class Gate {
 public:
    void open() {
        std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return open_; });
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

class PoolFaults : public ::testing::Test {
 protected:
    static constexpr uint64_t kSize = 4 << 20;

    // Whatever a test has left waiting, it must not keep the pool from its end.
    void TearDown() override {
        gate_.open();
        aio_->release();
        // The end of one that has lost a request never comes.
        HasFailure() ? static_cast<void>(pool_.release()) : pool_.reset();
    }

    void make(IoOptions options = {}) {
        auto made = createPool(options, share(aio_));
        if (!made.ok()) throw std::runtime_error(made.error().message);
        pool_ = made.take();
    }

    /// A device over `file`; `fd` gets its descriptor.
    std::shared_ptr<IoDevice> add(const TempFile& file, std::shared_ptr<Recorder> recorder,
                                  int* fd = nullptr) {
        UniqueFd opened = openFor(*pool_, file.path());
        if (fd != nullptr) *fd = opened.get();
        auto added =
            pool_->addDevice({std::move(opened), file.path(), file.size(), kBlock, recorder});
        if (!added.ok()) throw std::runtime_error(added.error().message);
        return added.take();
    }

    /// Reads `count` blocks from the start, each with a request of its own, in one submit.
    void readBlocks(const std::shared_ptr<IoDevice>& device, Recorder& recorder, Memory& memory,
                    size_t count, size_t step = 1) {
        std::vector<IoRequest> requests;
        for (size_t i = 0; i < count; ++i) {
            requests.push_back({IoOp::kRead, memory.data() + i * kBlock, i * step * kBlock, kBlock,
                                recorder.context(i)});
        }
        pool_->submit(device, requests.data(), count);
    }

    std::shared_ptr<FakeAio> aio_ = std::make_shared<FakeAio>();
    TempFile file_{kSize};
    Gate gate_;
    std::unique_ptr<IoPool> pool_;
};

}  // namespace mooncake::nvmeof_generic::io
