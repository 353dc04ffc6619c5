// SPDX-License-Identifier: Apache-2.0
#include "aio_context.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>

namespace mooncake::nvmeof_generic::io {
namespace {

// A context smaller than this is of no use.
constexpr uint32_t kLeastEntries = 8;

std::string firstLine(const char* path) {
    std::ifstream file(path);
    std::string line;
    return std::getline(file, line) ? line : "unknown";
}

}  // namespace

int openContext(AioSyscalls& aio, uint32_t entries, AioContext& context) noexcept {
    entries = std::max(entries, kLeastEntries);
    int result = 0;
    for (uint32_t size = entries; size >= kLeastEntries; size /= 2) {
        result = aio.setup(size, &context.context);
        if (result == 0) {
            context.capacity = size - 1;
            return 0;
        }
        if (result != -EAGAIN && result != -ENOMEM) break;
    }
    context.context = nullptr;
    return -result;
}

Error contextError(int code) {
    if (code != EAGAIN) {
        return makeError(code, "io_setup for " + std::to_string(kLeastEntries) + " I/Os",
                         "the kernel must have asynchronous I/O (CONFIG_AIO) and free memory");
    }
    return makeError(
        EAGAIN,
        "io_setup for " + std::to_string(kLeastEntries) +
            " I/Os (all processes together use fs.aio-nr=" + firstLine("/proc/sys/fs/aio-nr") +
            " of fs.aio-max-nr=" + firstLine("/proc/sys/fs/aio-max-nr") + ")",
        "raise the limit, for example: sysctl -w fs.aio-max-nr=1048576");
}

}  // namespace mooncake::nvmeof_generic::io
