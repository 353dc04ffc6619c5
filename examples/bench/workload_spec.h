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
    unsigned readPercent = 50;  ///< of a mixed operation
    uint64_t batchSize = 1;     ///< requests submitted together
    uint64_t window = 1;        ///< batches of a thread that are under way together
    uint64_t blockSize = 0;     ///< bytes
    uint64_t threads = 1;
    std::chrono::nanoseconds rampTime{0};  ///< before the measured time
    std::chrono::nanoseconds duration{0};  ///< measured
    bool verify = false;
    uint64_t seed = 0;  ///< of the verified data and of what is random
    uint64_t run = 0;   ///< told apart from other runs by this number, with verify
    /// How long to wait while none of a batch's requests ends.
    std::chrono::milliseconds stallLimit{120000};
};

}  // namespace mooncake::bench
