// SPDX-License-Identifier: Apache-2.0
#include "reach.h"

#include <glog/logging.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include "session.h"

namespace mooncake::python {
namespace {

constexpr char kWhy[] =
    "memory that was given by its address cannot be read by this process; what lies in a GPU's is "
    "to be copied to the host's first";

// The kernel answers with an error where this process would be ended.
bool canRead(std::span<const iovec> bytes) {
    constexpr size_t kMost = 512;  // at once; the kernel takes 1024
    std::array<char, kMost> seen;
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(kMost, bytes.size()))) {
        const size_t count = std::min(kMost, bytes.size());
        const iovec into{seen.data(), count};
        const ssize_t got = process_vm_readv(getpid(), &into, 1, bytes.data(), count, 0);
        // A sandbox may not let a process ask.
        if (got < 0 && errno != EFAULT) return true;
        if (got != static_cast<ssize_t>(count)) return false;
    }
    return true;
}

void addEnds(const Slices& slices, std::vector<iovec>* bytes) {
    for (const Slice& slice : slices) {
        if (slice.ptr == nullptr || slice.size == 0) continue;
        bytes->push_back({slice.ptr, 1});
        if (slice.size > 1) bytes->push_back({static_cast<char*>(slice.ptr) + slice.size - 1, 1});
    }
}

}  // namespace

bool isReachable(const Slices& slices) {
    std::vector<iovec> bytes;
    addEnds(slices, &bytes);
    return canRead(bytes);
}

bool dropUnreachable(std::vector<Slices>& lists) {
    std::vector<iovec> bytes;
    for (const Slices& slices : lists) addEnds(slices, &bytes);
    if (canRead(bytes)) return false;
    for (Slices& slices : lists) {
        if (!isReachable(slices)) slices.clear();
    }
    return true;
}

void reportUnreachable() {
    rememberError(kWhy);
    LOG_EVERY_T(ERROR, 60) << kWhy;
}

}  // namespace mooncake::python
