// SPDX-License-Identifier: Apache-2.0
// What the bench does not measure: what an engine with open segments costs when nothing happens,
// what a device that hangs costs its neighbour, and what a request costs by itself. Prints a line
// of JSON in fio's form.
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "transfer_engine.h"

using namespace mooncake;

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kDepth = 32;
constexpr size_t kBlock = 4096;
constexpr std::chrono::seconds kLimit{60};
// The engine looks after what it has published every 5 s. The first look takes half as many
// instructions more than each later one, since its thread is new to the code and the heap: it is
// over before the measurement begins.
constexpr std::chrono::seconds kUntilIdle{6};

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + "; the log above says why");
}

double cpuSeconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct AlignedBuffer {
    AlignedBuffer() : data(std::aligned_alloc(kBlock, kBlock)) {}
    ~AlignedBuffer() { std::free(data); }
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
    void* const data;
};

/// One read at a time.
class Slot {
 public:
    Slot(TransferEngine& engine, SegmentHandle segment, FileBufferID file)
        : engine_(engine), segment_(segment), file_(file) {}

    void begin(uint64_t offset) {
        batch_ = engine_.allocateBatchID(1);
        requests_[0] = {TransferRequest::READ, buffer_.data, segment_, offset, kBlock, 0, file_};
        if (!engine_.submitTransfer(batch_, requests_).ok()) fail("submitting");
        busy_ = true;
    }
    bool busy() const { return busy_; }
    bool ended() {
        TransferStatus status;
        if (!engine_.getTransferStatus(batch_, 0, status).ok()) fail("asking for the status");
        if (status.s == TransferStatusEnum::WAITING) return false;
        if (status.s != TransferStatusEnum::COMPLETED) fail("reading");
        engine_.freeBatchID(batch_);
        busy_ = false;
        return true;
    }
    void finish() {
        const auto limit = Clock::now() + kLimit;
        while (busy_ && !ended()) {
            if (Clock::now() > limit) fail("a read did not end");
            engine_.waitForProgress(std::chrono::milliseconds(10));
        }
    }

 private:
    TransferEngine& engine_;
    const SegmentHandle segment_;
    const FileBufferID file_;
    AlignedBuffer buffer_;
    std::vector<TransferRequest> requests_{1};
    BatchID batch_ = 0;
    bool busy_ = false;
};

using Slots = std::vector<std::unique_ptr<Slot>>;

Slots makeSlots(TransferEngine& engine, SegmentHandle segment, FileBufferID file) {
    Slots slots;
    for (size_t i = 0; i < kDepth; ++i) {
        slots.push_back(std::make_unique<Slot>(engine, segment, file));
    }
    return slots;
}

/// Reads at random for a time. @return how many reads ended
uint64_t readFor(TransferEngine& engine, Slots& slots, uint64_t size, std::chrono::seconds time) {
    std::mt19937_64 random(1);
    const auto end = Clock::now() + time;
    uint64_t count = 0;
    while (Clock::now() < end) {
        bool moved = false;
        for (const auto& slot : slots) {
            if (slot->busy() && !slot->ended()) continue;
            ++count;
            moved = true;
            slot->begin(random() % (size / kBlock) * kBlock);
        }
        if (!moved || !engine.waitForProgress(std::chrono::nanoseconds(0))) {
            engine.waitForProgress(std::chrono::milliseconds(10));
        }
    }
    for (const auto& slot : slots) slot->finish();
    return count;
}

uint64_t sizeOf(TransferEngine& engine, SegmentHandle segment, FileBufferID file) {
    const auto descriptor = engine.getMetadata()->getSegmentDescByID(segment);
    for (const auto& buffer : descriptor->file_buffers) {
        if (buffer.id == file) return buffer.size;
    }
    fail("the segment has no file " + std::to_string(file));
}

void shell(const std::string& command) {
    if (std::system(command.c_str()) != 0) fail("'" + command + "' failed");
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.size() < 4) {
        std::cerr << "usage: engine_probe idle|alone|beside|requests <metadata server> <segment> "
                     "<seconds> [own file, or command to hang file 2] [command to let it go on]\n";
        return 1;
    }
    const std::string& what = arguments[0];
    const std::string& segmentName = arguments[2];
    const std::chrono::seconds time(std::stoi(arguments[3]));
    TransferEngine engine;
    // A segment of one's own has a file of this process.
    const bool own = (what == "idle" || what == "requests") && arguments.size() > 4;
    if (engine.init(arguments[1], own ? segmentName : "engine-probe") != 0) fail("joining");
    char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[] = {own ? address : nullptr};
    if (engine.installTransport("nvmeof_generic", args) == nullptr) fail("installing");
    FileBufferID file = 1;
    if (own && engine.registerLocalFile(arguments[4], std::filesystem::file_size(arguments[4]),
                                        file) != 0) {
        fail("registering");
    }
    const SegmentHandle segment = engine.openSegment(segmentName);
    if (segment == static_cast<SegmentHandle>(-1)) fail("opening the segment");

    Slots slots = makeSlots(engine, segment, file);
    const uint64_t size = sizeOf(engine, segment, file);
    // Connects, and lets everything be used that sleeps later.
    readFor(engine, slots, size, std::chrono::seconds(1));
    Slots hung;
    if (what == "beside") {
        hung = makeSlots(engine, segment, 2);
        for (const auto& slot : hung) slot->begin(0);
        for (const auto& slot : hung) slot->finish();
        shell(arguments.at(4));
        for (size_t i = 0; i < hung.size(); ++i) hung[i]->begin(i * kBlock);
    }
    // What has been busy until now goes to sleep.
    if (what == "idle") std::this_thread::sleep_for(kUntilIdle);
    const auto begun = Clock::now();
    const double cpuBefore = cpuSeconds();
    uint64_t count = 0;
    if (what == "idle") {
        std::this_thread::sleep_for(time);
    } else {
        count = readFor(engine, slots, size, time);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    const double cpu = cpuSeconds() - cpuBefore;
    if (what == "beside") {
        bool all = true;
        for (const auto& slot : hung) all = !slot->ended() && all;
        shell(arguments.at(5));
        if (!all) fail("what was to hang did not");
        for (const auto& slot : hung) slot->finish();
    }
    std::cout << R"({"jobs":[{"usr_cpu":)" << cpu / seconds * 100
              << R"(,"sys_cpu":0,"read":{"bw_bytes":)"
              << static_cast<uint64_t>(static_cast<double>(count * kBlock) / seconds)
              << R"(,"runtime_s":)" << seconds << "}}]}" << std::endl;
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    // As servers do, and the bench: it saves system calls (docs/performance.md).
    signal(SIGPIPE, SIG_IGN);
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::cerr << "engine_probe: " << error.what() << "\n";
        return 1;
    }
}
