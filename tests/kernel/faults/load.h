// SPDX-License-Identifier: Apache-2.0
// Reads and writes that go on whatever happens, and know what they should find.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster.h"

/// One thread that keeps a batch of requests under way for each of its files, each block in at most
/// one of them, and compares what it reads with what it wrote. A write that failed leaves two
/// answers right for each sector, until the next write of the block that completes.
class Load {
 public:
    using Clock = std::chrono::steady_clock;
    static constexpr size_t kBlock = 32768;
    static constexpr size_t kSector = 4096;

    /// @param seed  of what is done where
    Load(Node& node, uint64_t seed);
    ~Load();

    /// Adds a file to those under load; its contents must be zero. Thread-safe.
    /// @param file  its id as its node published it, for a segment that has no descriptor with this
    ///     path. The number stays good whatever id the node gives the file later.
    void add(const std::string& segment, const std::string& path, uint32_t file, uint64_t size,
             int retries = 0);
    /// Leaves a file alone for now.
    void pause(const std::string& segment, const std::string& path, bool paused);

    /// Waits until, for every file that is there, a read and a write that were submitted after this
    /// call have completed.
    /// @return whether they did within `limit`
    bool healthy(std::chrono::seconds limit = std::chrono::seconds(60));
    /// Waits until a request on this segment that was submitted after this call has failed.
    bool fails(const std::string& segment, std::chrono::seconds limit = std::chrono::seconds(60));

    /// Waits for the batches under way and stops. @return false when one did not end
    bool stop();

    struct Report {
        uint64_t completed = 0, failed = 0;
        double slowest = 0;           ///< seconds from submission to the end of the slowest request
        double slowestCompleted = 0;  ///< the same of those that completed
        std::string wrong;            ///< the first wrong byte, or ""
    };
    /// Since the last call. An empty segment name: of all.
    Report report(const std::string& segment = "");

 private:
    struct Block {
        // What each sector may hold; 0 is the zeros of before the first write.
        std::vector<std::set<uint64_t>> sectors;
    };
    struct Pending {
        size_t block;
        uint64_t version;  // 0: a read
        Clock::time_point since;
        bool ended = false;
    };
    struct File {
        std::string segment, path;
        mooncake::SegmentID segmentId = 0;
        uint32_t id = 0;
        int retries = 0;
        std::vector<Block> blocks;
        std::unique_ptr<test_support::AlignedBuffer> buffer;
        mooncake::BatchID batch = 0;
        bool busy = false, paused = false;
        std::vector<Pending> pending;
        Clock::time_point lastRead{}, lastWrite{}, lastFailure{};
        Report report;
    };
    static constexpr size_t kRequests = 4;

    void run();
    void begin(File& file);
    bool poll(File& file);
    void ended(File& file, size_t index, bool completed);
    std::string verify(const File& file, size_t index) const;
    /// What a sector holds, for whoever reads of a failure.
    std::string contents(uint64_t offset, const uint8_t* sector) const;

    Node& node_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<File>> files_;
    std::mt19937_64 random_;
    uint64_t versions_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> drained_{false};
    std::thread thread_;
};
