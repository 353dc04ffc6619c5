// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>

#include "bounce_pool.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// Large enough to fill a device through few I/Os, small enough to stay in the cache between the
// copy and the transfer.
constexpr size_t kMaxStagedBytes = Operation::kMostChunks * BouncePool::kChunkBytes;

Result<> checkRange(const char* name, uint64_t value, uint64_t least, uint64_t most) {
    if (value >= least && value <= most) return {};
    return makeError(EINVAL, std::string("I/O option ") + name + " = " + std::to_string(value),
                     "use " + std::to_string(least) + " to " + std::to_string(most));
}

}  // namespace

Result<> checkOptions(const IoOptions& options) {
    const auto spin = static_cast<uint64_t>(options.spin.count());
    for (const Result<>& checked : {
             checkRange("numWorkers", options.numWorkers, 1, 256),
             checkRange("queueDepth", options.queueDepth, 1, 1024),
             checkRange("maxIoBytes", options.maxIoBytes, 4 << 10, 16 << 20),
             checkRange("spin (microseconds)", spin, 0, 1000),
             checkRange("bounceBytes", options.bounceBytes, BouncePool::kChunkBytes, 64ULL << 30),
         }) {
        if (!checked.ok()) return checked;
    }
    if (!std::has_single_bit(options.maxIoBytes)) {
        return makeError(EINVAL, "I/O option maxIoBytes = " + std::to_string(options.maxIoBytes),
                         "use a power of two");
    }
    return {};
}

uint32_t memoryAlignment(int fd, uint32_t blockSize) {
#ifdef STATX_DIOALIGN
    struct statx about {};
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &about) == 0 &&
        (about.stx_mask & STATX_DIOALIGN) != 0 && std::has_single_bit(about.stx_dio_mem_align)) {
        return std::min(about.stx_dio_mem_align, blockSize);
    }
#endif
    return blockSize;
}

PlanRules planRules(const IoOptions& options, const IoDeviceSpec& device, uint32_t memoryAlignment,
                    size_t bounceChunks) {
    const uint32_t blockSize = device.blockSize;
    const size_t share = std::bit_floor(std::max<size_t>(bounceChunks / 4, 1));
    const size_t staged =
        std::min({options.maxIoBytes, share * BouncePool::kChunkBytes, kMaxStagedBytes});
    return {options.directIo,
            blockSize,
            memoryAlignment,
            std::max(static_cast<uint32_t>(options.maxIoBytes), blockSize),
            std::max(static_cast<uint32_t>(staged), blockSize),
            device.copyWrites};
}

}  // namespace mooncake::nvmeof_generic::io
