// SPDX-License-Identifier: Apache-2.0
// What the cases share: nodes of one process, requests, clocks and figures.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "../aio_shim/aio_shim.h"
#include "transfer_engine.h"

namespace mooncake::probe {

using Clock = std::chrono::steady_clock;

constexpr size_t kBlock = 4096;

/// Ends the program with status 1.
[[noreturn]] void fail(const std::string& what);

/// Writes one line of JSON: {"values": {...}}.
void report(const std::map<std::string, double>& values);

/// The value that `share` of them (0 to 1) do not exceed.
double quantile(std::vector<double> values, double share);

double milliseconds(Clock::duration time);

/// Processor time of the process, and of the calling thread, in seconds.
double processCpu();
double threadCpu();
/// How often threads of the process have gone to sleep.
uint64_t processSwitches();

void pinTo(size_t processor);

/// The preloaded shim's; fails without it.
AioShimCounts shimCounts();
void releaseHeld();

struct Buffer {
    explicit Buffer(size_t bytes = kBlock);
    ~Buffer() { std::free(data); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    char* const data;
};

/// A node that exports files. Nodes find each other without a metadata server.
struct Target {
    explicit Target(const std::vector<std::string>& paths);
    TransferEngine engine;
    std::vector<FileBufferID> files;
    std::string name;
};

/// A node that uses another's files. A node of its own, so that they are another node's.
struct Initiator {
    Initiator();
    SegmentHandle open(const std::string& segment);
    TransferEngine engine;
};

/// Sparse files of 64 MiB in a folder that is there.
constexpr uint64_t kFileSize = 64 << 20;
std::vector<std::string> makeFiles(const std::string& folder, size_t count);

/// One read at a time.
class Read {
 public:
    Read(TransferEngine& engine, SegmentHandle segment, FileBufferID file, size_t bytes = kBlock);
    void begin(uint64_t offset);
    /// @return whether it has ended; the batch is freed then
    bool ended();
    /// Waits with waitForProgress.
    void finish();
    void run(uint64_t offset) {
        begin(offset);
        finish();
    }
    bool busy() const { return busy_; }

 private:
    TransferEngine& engine_;
    Buffer buffer_;
    std::vector<TransferRequest> requests_;
    BatchID batch_ = 0;
    bool busy_ = false;
};

struct Arguments {
    std::string folder;  // for files; exists
    std::chrono::milliseconds time;
    std::vector<std::string> further;
};

using Case = std::function<void(const Arguments&)>;

// The cases, a file each.
void fixedLatency(const Arguments&);
void striped(const Arguments&);
void twoThreads(const Arguments&);
void manySegments(const Arguments&);
void setupBesidePollers(const Arguments&);
void waits(const Arguments&);
void oneRequest(const Arguments&);
void pollOnly(const Arguments&);

}  // namespace mooncake::probe
