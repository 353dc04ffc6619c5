// SPDX-License-Identifier: Apache-2.0
// What an NVMeoFGenericTransport has counted: plain values, taken at one moment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mooncake {

/// How long requests took, from submission to their end, whatever the end. Bucket i counts those of
/// at most `8 << i` microseconds that the buckets before it do not count, the last bucket all
/// others.
struct LatencyHistogram {
    static constexpr size_t kBounded = 22;  ///< up to 8 us << 21, which is about 17 s
    std::array<uint64_t, kBounded + 1> buckets{};
    uint64_t totalMicroseconds = 0;

    static constexpr uint64_t boundMicroseconds(size_t bucket) { return uint64_t{8} << bucket; }
    uint64_t count() const {
        uint64_t all = 0;
        for (const uint64_t bucket : buckets) all += bucket;
        return all;
    }
};

/// Requests of one direction that have ended; their number is latency.count().
struct OperationStats {
    uint64_t bytes = 0;  ///< that moved for certain, also in requests that failed
    LatencyHistogram latency;
};

struct FileStats {
    uint32_t fileId =
        0;  ///< 0: requests for files that the segment does not have any more, or never had
    OperationStats reads;
    OperationStats writes;
    std::map<int, uint64_t> errors;  ///< failed requests by positive errno value
    uint64_t retries = 0;            ///< attempts beyond the first (advise_retry_cnt)
};

/// One path to a segment: an address of its target, and from where on this host.
struct PathStats {
    std::string address;     ///< "192.0.2.10:4420", with " from eth1" where that was asked for
    std::string transport;   ///< "tcp" or "rdma"
    std::string controller;  ///< the kernel's name of it now, "nvme3"; empty: there is none
    std::string state;       ///< as the kernel says ("live", "connecting" ...); "down" without one
    /// How the kernel shares I/O between the segment's paths ("round-robin" ...); empty where it
    /// does not join them to one device.
    std::string policy;
    uint64_t connects = 0;  ///< controllers that were made or joined
    uint64_t losses = 0;    ///< that were seen, once a second
    uint64_t failedAttempts = 0;
    uint64_t bytesRead = 0;     ///< over the controller of now, of all processes
    uint64_t bytesWritten = 0;  ///< likewise
};

struct SegmentStats {
    enum class State {
        kIdle,        ///< nobody has asked for it yet
        kConnecting,  ///< its requests wait for the first connection
        kReady,
        kDegraded,  ///< I/O or a refresh failed, and the connection has not been proved good since
        kGone,      ///< attempts to connect fail
    };
    uint64_t segmentId = 0;
    std::string name;  ///< as published, of any bytes; empty until its descriptor was seen
    State state = State::kIdle;
    uint64_t connects =
        0;  ///< connections that were made or joined; all but the first are reconnects
    uint64_t failedAttempts = 0;   ///< to look the segment up or to connect
    uint64_t waiting = 0;          ///< requests that wait for a connection, a device or a retry
    std::vector<PathStats> paths;  ///< of its connection now
    std::vector<FileStats> files;
};

/// How well io_submit(2) is used.
struct SubmitStats {
    uint64_t calls = 0;  ///< of io_submit, also those that took nothing
    uint64_t ios = 0;  ///< that they took; one I/O carries a request, neighbours, or a part of one

    /// I/Os in a call; 0 without any.
    double meanBatch() const {
        return calls == 0 ? 0 : static_cast<double>(ios) / static_cast<double>(calls);
    }
    SubmitStats operator-(const SubmitStats& before) const {
        return {calls - before.calls, ios - before.ios};
    }
};

/// What a transport is, beside Transport, if it counts its submits: a program that does not know
/// which transport it has finds this with dynamic_cast, without linking the plugin.
class SubmitStatsSource {
 public:
    virtual ~SubmitStatsSource() = default;
    /// Since the transport was installed. Thread-safe, waits for nothing, does not throw.
    virtual SubmitStats submitStats() const = 0;
};

/// The same for the paths to segments.
class PathStatsSource {
 public:
    virtual ~PathStatsSource() = default;
    /// Thread-safe. Reads some files in sysfs for each path and file of the segment.
    /// @param segment  as openSegment() gave it
    /// @return its paths; none where it has no connection, or needs none
    virtual std::vector<PathStats> pathStats(uint64_t segment) const = 0;
};

/// What this node serves to others, and to whom.
struct TargetStats {
    std::string segment;       ///< under which the files are published
    std::string address;       ///< "192.0.2.10:4420", of several apart by commas
    std::string subsystemNqn;  ///< new with each start
    uint64_t files = 0;        ///< that are exported now
    uint64_t bytes = 0;        ///< of them all that remote hosts reach
    /// Files that were exported no more because they had changed, by what had happened: "resized",
    /// "replaced", "gone" (deleted or renamed) or "other".
    std::map<std::string, uint64_t> withdrawn;
    bool anyHost = false;       ///< whether every host may connect
    uint64_t allowedHosts = 0;  ///< that may, where not every host may
    /// TCP connections at its ports, also to other targets that share it: a host has one for each
    /// of its queues. Nothing where that cannot be known, as with RDMA.
    std::optional<uint64_t> tcpConnections;
    /// Controllers (connections of a host as a whole) by host NQN; nothing where the kernel does
    /// not show them: this takes root, debugfs, and CONFIG_NVME_TARGET_DEBUGFS (6.11 or newer).
    std::optional<std::map<std::string, uint64_t>> controllers;
    bool published = false;     ///< whether the store has the record as it is to be
    uint64_t publications = 0;  ///< that succeeded
    uint64_t publicationFailures = 0;
    double sincePublication = 0;  ///< seconds since the last that succeeded
};

struct TransportStats {
    std::vector<SegmentStats> segments;  ///< those that this node reads or writes
    SubmitStats submits;                 ///< of all of them together
    std::optional<TargetStats> target;   ///< nothing in an initiator that exports nothing
};

/// "idle", "connecting", "ready", "degraded" or "gone".
constexpr const char* name(SegmentStats::State state) {
    constexpr const char* kNames[] = {"idle", "connecting", "ready", "degraded", "gone"};
    return kNames[static_cast<size_t>(state)];
}

}  // namespace mooncake
