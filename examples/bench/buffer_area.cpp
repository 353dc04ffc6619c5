// SPDX-License-Identifier: Apache-2.0
#include "bench/buffer_area.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>

namespace mooncake::bench {
namespace {

// MemAvailable of proc(5) in bytes; unlimited where the kernel does not say.
uint64_t availableMemory() {
    std::ifstream file("/proc/meminfo");
    std::string key, unit;
    uint64_t kib = 0;
    while (file >> key >> kib) {
        if (key == "MemAvailable:") return kib * 1024;
        std::getline(file, unit);
    }
    return std::numeric_limits<uint64_t>::max();
}

}  // namespace

MaybeFailure checkMemory(uint64_t bytes) {
    const uint64_t available = availableMemory();
    if (bytes <= available) return std::nullopt;
    constexpr uint64_t kMiB = 1 << 20;
    return Failure{ExitCode::kUsage,
                   "buffers of " + std::to_string(bytes / kMiB) +
                       " MiB (--threads x --batch_size x --block_size) do not fit into the " +
                       std::to_string(available / kMiB) +
                       " MiB of memory available: choose a smaller --batch_size"};
}

MaybeFailure BufferArea::create(TransferApi& api, size_t bytes, std::unique_ptr<BufferArea>& area) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        return Failure{ExitCode::kIoError, "cannot allocate " + std::to_string(bytes) +
                                               " bytes of buffers: " + std::strerror(errno)};
    }
    area.reset(new BufferArea(api, static_cast<char*>(memory), bytes));
    const int rc = api.registerLocalMemory(memory, bytes);
    if (rc != 0) {
        area.reset();
        return Failure{ExitCode::kIoError, "the engine refuses to register " +
                                               std::to_string(bytes) + " bytes of buffers (error " +
                                               std::to_string(rc) + ")"};
    }
    area->registered_ = true;
    return std::nullopt;
}

BufferArea::~BufferArea() {
    if (abandoned_) return;
    if (registered_) api_.unregisterLocalMemory(data_);
    munmap(data_, bytes_);
}

}  // namespace mooncake::bench
