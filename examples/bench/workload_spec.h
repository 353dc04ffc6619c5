// SPDX-License-Identifier: Apache-2.0
// What a workload does, on which files.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.h"
#include "bench/transfer_api.h"

namespace mooncake::bench {

/// A file of the segment.
struct WorkFile {
    FileBufferID id;
    std::string path;  ///< on the target's host, for messages
    uint64_t size;     ///< bytes
};

struct WorkloadSpec {
    Operation operation = Operation::kRead;
    SegmentID segment = 0;
    std::vector<WorkFile> files;
    uint64_t batchSize = 1;  ///< requests
    uint64_t blockSize = 0;  ///< bytes
    uint64_t threads = 1;
    std::chrono::nanoseconds duration{0};
    bool verify = false;
    uint64_t seed = 0;
    uint64_t run = 0;  ///< told apart from other runs by this number, with verify
    /// How long to wait while none of a batch's requests ends.
    std::chrono::milliseconds stallLimit{120000};
};

}  // namespace mooncake::bench
