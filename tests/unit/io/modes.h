// SPDX-License-Identifier: Apache-2.0
// One suite over all modes: what must hold however bytes travel is tested in every way they can.
// The tests are in the files modes_*_test.cpp; what depends on no mode is tested elsewhere.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "fake_aio.h"
#include "io_fixture.h"
#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {

/// Who submits and reaps where both can.
enum class Who { kWorkers, kCallers };
enum class On { kFile, kLoop512, kLoop4096 };

struct Mode {
    DirectIo directIo;
    bool durable;
    Who who;
    On on = On::kFile;
    uint32_t workers = 8;

    /// Requests must be aligned.
    bool strict() const { return directIo == DirectIo::kOn; }
};
void PrintTo(const Mode& mode, std::ostream* out);
std::string nameOf(const ::testing::TestParamInfo<Mode>& info);

/// On files and loop devices, with the kernel's own asynchronous I/O.
std::vector<Mode> kernelModes();
/// Those of them that keep some rule.
std::vector<Mode> kernelModes(const std::function<bool(const Mode&)>& rule);
/// On files, for what the kernel does only when a test tells it to.
std::vector<Mode> faultModes();
std::vector<Mode> faultModes(const std::function<bool(const Mode&)>& rule);

inline bool isLenient(const Mode& mode) {
    return !mode.strict();
}
/// A loop device gives zeros behind the end of its file.
inline bool isOnFile(const Mode& mode) {
    return mode.on == On::kFile;
}

class Modes : public ::testing::TestWithParam<Mode> {
 protected:
    static constexpr uint64_t kSize = 4 << 20;

    /// Little of everything, so that the tests meet the bounds.
    static IoOptions optionsOf(const Mode& mode);

    // The end of a pool that has lost a request never comes.
    void TearDown() override { HasFailure() ? static_cast<void>(pool_.release()) : pool_.reset(); }

    /// Takes the pool; the program polls it where the mode says so.
    void use(std::unique_ptr<IoPool> pool);

    bool polls() const { return GetParam().who == Who::kCallers; }
    bool strict() const { return GetParam().strict(); }

    /// Waits until so many have ended, as the mode has it.
    ::testing::AssertionResult ended(Recorder& recorder, size_t count);
    ::testing::AssertionResult allEnded(Recorder& recorder) {
        return ended(recorder, recorder.size());
    }
    void submit(const std::shared_ptr<IoDevice>& device, const std::vector<IoRequest>& requests) {
        pool_->submit(device, requests.data(), requests.size());
    }

    TempFile file_{kSize};
    std::unique_ptr<IoPool> pool_;
};

/// With the kernel's own asynchronous I/O.
class KernelModes : public Modes {
 protected:
    void SetUp() override;
    virtual void change(IoOptions&) {}

    std::shared_ptr<IoDevice> add(std::shared_ptr<IoListener> listener, uint64_t size = kSize);

    uint32_t blockSize_ = 4096;
    std::string path_;  // of the device
    std::unique_ptr<LoopDevice> loop_;
};

/// With a FakeAio, on a file.
class FaultModes : public Modes {
 protected:
    // Whatever a test has left waiting, it must not keep the pool from its end.
    void TearDown() override {
        aio_->release();
        Modes::TearDown();
    }

    /// A new pool on a new FakeAio, which the test then tells what to do.
    void make() { make(optionsOf(GetParam())); }
    void make(const IoOptions& options);

    /// What a submit may take, whoever it is that submits.
    void onSubmit(const std::function<int(const std::vector<FakeAio::Io>&)>& hook);

    std::shared_ptr<IoDevice> add(std::shared_ptr<Recorder> recorder, int* fd = nullptr);

    /// Reads of one block each, `step` blocks apart.
    static std::vector<IoRequest> reads(Recorder& recorder, Memory& memory, size_t count,
                                        size_t step);

    std::shared_ptr<FakeAio> aio_ = std::make_shared<FakeAio>();
};

}  // namespace mooncake::nvmeof_generic::io
