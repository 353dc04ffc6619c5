// SPDX-License-Identifier: Apache-2.0
#include "modes.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <utility>

#include "pool.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr std::chrono::seconds kLimit{60};

constexpr DirectIo kDirectIo[] = {DirectIo::kOn, DirectIo::kOff, DirectIo::kAuto};
constexpr Who kWho[] = {Who::kWorkers, Who::kCallers};

std::vector<Mode> selected(const std::vector<Mode>& modes,
                           const std::function<bool(const Mode&)>& rule) {
    std::vector<Mode> some;
    std::copy_if(modes.begin(), modes.end(), std::back_inserter(some), rule);
    return some;
}

std::string text(const Mode& mode) {
    constexpr const char* kModes[] = {"On", "Off", "Auto"};
    constexpr const char* kDevices[] = {"File", "Loop512", "Loop4096"};
    return std::string(kModes[static_cast<int>(mode.directIo)]) + (mode.durable ? "Durable" : "") +
           kDevices[static_cast<int>(mode.on)] +
           (mode.who == Who::kCallers ? "Callers" : "Workers" + std::to_string(mode.workers));
}

}  // namespace

void PrintTo(const Mode& mode, std::ostream* out) {
    *out << text(mode);
}

std::string nameOf(const ::testing::TestParamInfo<Mode>& info) {
    return text(info.param);
}

std::vector<Mode> kernelModes() {
    std::vector<Mode> modes;
    for (const DirectIo directIo : kDirectIo) {
        for (const Who who : kWho) {
            for (const On on : {On::kFile, On::kLoop512, On::kLoop4096}) {
                modes.push_back({directIo, false, who, on});
            }
        }
        modes.push_back({directIo, false, Who::kWorkers, On::kFile, 1});
    }
    // What is copied and what is not, by either.
    modes.push_back({DirectIo::kOff, true, Who::kWorkers, On::kFile});
    modes.push_back({DirectIo::kAuto, true, Who::kCallers, On::kFile});
    modes.push_back({DirectIo::kOn, true, Who::kWorkers, On::kLoop512});
    return modes;
}

std::vector<Mode> kernelModes(const std::function<bool(const Mode&)>& rule) {
    return selected(kernelModes(), rule);
}

std::vector<Mode> faultModes() {
    std::vector<Mode> modes;
    for (const DirectIo directIo : kDirectIo) {
        for (const Who who : kWho) modes.push_back({directIo, false, who});
    }
    modes.push_back({DirectIo::kOff, true, Who::kCallers});
    modes.push_back({DirectIo::kAuto, true, Who::kWorkers});
    return modes;
}

std::vector<Mode> faultModes(const std::function<bool(const Mode&)>& rule) {
    return selected(faultModes(), rule);
}

IoOptions Modes::optionsOf(const Mode& mode) {
    IoOptions options;
    options.directIo = mode.directIo;
    options.numWorkers = mode.workers;
    options.durableWrites = mode.durable;
    options.bounceBytes = 1 << 20;
    options.queueDepth = 16;
    options.maxIoBytes = 128 << 10;
    return options;
}

void Modes::use(std::unique_ptr<IoPool> pool) {
    pool_ = std::move(pool);
    if (polls()) pool_->enablePolling();
}

::testing::AssertionResult Modes::ended(Recorder& recorder, size_t count) {
    if (!polls()) return recorder.waitFor(count);
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (recorder.endedCount() < count) {
        if (std::chrono::steady_clock::now() > limit) {
            return ::testing::AssertionFailure()
                   << "only " << recorder.endedCount() << " of " << count << " requests have ended";
        }
        if (!pool_->poll()) pool_->wait(std::chrono::milliseconds(10));
    }
    return ::testing::AssertionSuccess();
}

void KernelModes::SetUp() {
    const Mode& mode = GetParam();
    IoOptions options = optionsOf(mode);
    change(options);
    auto made = IoPool::create(options);
    ASSERT_TRUE(made.ok()) << made.error().message;
    use(made.take());

    path_ = file_.path();
    if (mode.on == On::kFile) return;
    blockSize_ = mode.on == On::kLoop512 ? 512 : 4096;
    loop_ = LoopDevice::create(file_.path(), blockSize_);
    if (loop_ == nullptr) GTEST_SKIP() << "no loop device can be set up here";
    path_ = loop_->path();
}

std::shared_ptr<IoDevice> KernelModes::add(std::shared_ptr<IoListener> listener, uint64_t size) {
    auto added =
        pool_->addDevice({openFor(*pool_, path_), path_, size, blockSize_, std::move(listener)});
    if (!added.ok()) throw std::runtime_error(added.error().message);
    return added.take();
}

void FaultModes::make(const IoOptions& options) {
    aio_->release();
    pool_.reset();
    aio_ = std::make_shared<FakeAio>();
    // Where callers submit, it is a device that can tell whether it would wait.
    if (polls()) onSubmit([](const auto& asked) { return static_cast<int>(asked.size()); });
    auto made = createPool(options, share(aio_));
    if (!made.ok()) throw std::runtime_error(made.error().message);
    use(made.take());
}

void FaultModes::onSubmit(const std::function<int(const std::vector<FakeAio::Io>&)>& hook) {
    aio_->onSubmit = hook;
    if (polls()) aio_->onNowait = hook;
}

std::shared_ptr<IoDevice> FaultModes::add(std::shared_ptr<Recorder> recorder, int* fd) {
    UniqueFd opened = openFor(*pool_, file_.path());
    if (fd != nullptr) *fd = opened.get();
    auto added = pool_->addDevice({std::move(opened), file_.path(), kSize, kBlock, recorder});
    if (!added.ok()) throw std::runtime_error(added.error().message);
    return added.take();
}

std::vector<IoRequest> FaultModes::reads(Recorder& recorder, Memory& memory, size_t count,
                                         size_t step) {
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < count; ++i) {
        requests.push_back({IoOp::kRead, memory.data() + i * kBlock, i * step * kBlock, kBlock,
                            recorder.context(i)});
    }
    return requests;
}

}  // namespace mooncake::nvmeof_generic::io
