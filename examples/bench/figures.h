// SPDX-License-Identifier: Apache-2.0
// What a run measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/latency_histogram.h"

namespace mooncake::bench {

/// Requests of one direction that COMPLETED.
struct Traffic {
    uint64_t bytes = 0;
    uint64_t requests = 0;

    Traffic& operator+=(const Traffic& other) {
        bytes += other.bytes;
        requests += other.requests;
        return *this;
    }
};

struct FileTraffic {
    Traffic read;
    Traffic written;
};

/// Of a thread, or of all threads together.
struct Figures {
    Traffic read;
    Traffic written;
    /// From the submission of the batch that a request was part of to when its end was seen.
    LatencyHistogram readLatency;
    LatencyHistogram writeLatency;
    std::vector<FileTraffic> files;  ///< in the order of WorkloadSpec::files

    Figures& operator+=(const Figures& other) {
        read += other.read;
        written += other.written;
        readLatency.add(other.readLatency);
        writeLatency.add(other.writeLatency);
        if (files.size() < other.files.size()) files.resize(other.files.size());
        for (size_t i = 0; i < other.files.size(); ++i) {
            files[i].read += other.files[i].read;
            files[i].written += other.files[i].written;
        }
        return *this;
    }
};

/// What the whole process has used, in seconds.
struct CpuTime {
    double user = 0;
    double system = 0;

    /// As of now.
    static CpuTime ofProcess();
    double total() const { return user + system; }
    CpuTime operator-(const CpuTime& before) const {
        return {user - before.user, system - before.system};
    }
};

}  // namespace mooncake::bench
