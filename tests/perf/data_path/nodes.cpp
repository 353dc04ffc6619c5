// SPDX-License-Identifier: Apache-2.0
#include "nodes.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <stdexcept>

namespace mooncake::probe {
namespace {

constexpr std::chrono::seconds kLimit{60};

double seconds(const timespec& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double clockOf(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return seconds(time);
}

template <class Function>
Function* shimFunction(const char* name) {
    auto* const found = reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
    if (found == nullptr) fail("this case runs with libaio_shim.so in LD_PRELOAD");
    return found;
}

}  // namespace

void fail(const std::string& what) {
    throw std::runtime_error(what);
}

void report(const std::map<std::string, double>& values) {
    std::cout << R"({"values":{)";
    const char* separator = "";
    for (const auto& [name, value] : values) {
        std::cout << separator << '"' << name << "\":" << value;
        separator = ",";
    }
    std::cout << "}}" << std::endl;
}

double quantile(std::vector<double> values, double share) {
    if (values.empty()) fail("nothing was measured");
    const auto at = static_cast<size_t>(static_cast<double>(values.size() - 1) * share);
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at),
                     values.end());
    return values[at];
}

double milliseconds(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

double processCpu() {
    return clockOf(CLOCK_PROCESS_CPUTIME_ID);
}
double threadCpu() {
    return clockOf(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t processSwitches() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_nvcsw);
}

void pinTo(size_t processor) {
    cpu_set_t allowed, one;
    sched_getaffinity(getpid(), sizeof(allowed), &allowed);  // the main thread's, which has all
    processor %= static_cast<size_t>(CPU_COUNT(&allowed));
    size_t cpu = 0;
    for (;; ++cpu) {
        if (CPU_ISSET(cpu, &allowed) && processor-- == 0) break;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

AioShimCounts shimCounts() {
    return shimFunction<AioShimCounts()>("aioShimCounts")();
}
void releaseHeld() {
    shimFunction<void()>("aioShimRelease")();
}

Buffer::Buffer(size_t bytes) : data(static_cast<char*>(std::aligned_alloc(kBlock, bytes))) {
    if (data == nullptr) fail("no memory for a buffer");
    std::memset(data, 0, bytes);
}

Target::Target(const std::vector<std::string>& paths) {
    if (engine.init(P2PHANDSHAKE, "127.0.0.1:0") != 0) fail("the target does not join");
    char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[] = {address};
    if (engine.installTransport("nvmeof_generic", args) == nullptr) fail("installing a target");
    for (const std::string& path : paths) {
        FileBufferID file = 0;
        if (engine.registerLocalFile(path, kFileSize, file) != 0) fail("registering " + path);
        files.push_back(file);
    }
    name = engine.getLocalIpAndPort();
}

Initiator::Initiator() {
    if (engine.init(P2PHANDSHAKE, "127.0.0.1:0") != 0) fail("the initiator does not join");
    if (engine.installTransport("nvmeof_generic", nullptr) == nullptr) fail("installing");
}

SegmentHandle Initiator::open(const std::string& segment) {
    const SegmentHandle handle = engine.openSegment(segment);
    if (handle == static_cast<SegmentHandle>(-1)) fail("opening segment " + segment);
    return handle;
}

std::vector<std::string> makeFiles(const std::string& folder, size_t count) {
    std::vector<std::string> paths;
    for (size_t i = 0; i < count; ++i) {
        paths.push_back(folder + "/sparse-" + std::to_string(i));
        const int fd = open(paths.back().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        const bool made = fd >= 0 && ftruncate(fd, kFileSize) == 0;
        if (fd >= 0) close(fd);
        if (!made) fail("making " + paths.back() + ": " + strerror(errno));
    }
    return paths;
}

Read::Read(TransferEngine& engine, SegmentHandle segment, FileBufferID file, size_t bytes)
    : engine_(engine), buffer_(bytes) {
    requests_.push_back({TransferRequest::READ, buffer_.data, segment, 0, bytes, 0, file});
}

void Read::begin(uint64_t offset) {
    requests_[0].target_offset = offset;
    batch_ = engine_.allocateBatchID(1);
    const Status status = engine_.submitTransfer(batch_, requests_);
    if (!status.ok()) fail("submitting: " + status.ToString());
    busy_ = true;
}

bool Read::ended() {
    TransferStatus status;
    if (!engine_.getTransferStatus(batch_, 0, status).ok()) fail("asking for the state");
    if (status.s == TransferStatusEnum::WAITING) return false;
    if (status.s != TransferStatusEnum::COMPLETED) fail("a read failed; the log above says why");
    if (!engine_.freeBatchID(batch_).ok()) fail("freeing a batch");
    busy_ = false;
    return true;
}

void Read::finish() {
    const auto limit = Clock::now() + kLimit;
    while (!ended()) {
        if (Clock::now() > limit) fail("a read did not end");
        engine_.waitForProgress(std::chrono::milliseconds(10));
    }
}

}  // namespace mooncake::probe
