// SPDX-License-Identifier: Apache-2.0
#include "reach.h"

#include <glog/logging.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "session.h"

namespace mooncake::python {
namespace {

constexpr char kWhy[] =
    "memory that was given by its address cannot be read by this process, or not be written to by "
    "a call that gets; what lies in a GPU's is to be copied to or from the host's";

// The kernel answers with an error where this process would be ended. Nothing where it does not
// answer at all: a sandbox may not let a process ask.
std::optional<bool> canRead(std::span<const iovec> bytes) {
    constexpr size_t kMost = 512;  // at once; the kernel takes 1024
    std::array<char, kMost> seen;
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(kMost, bytes.size()))) {
        const size_t count = std::min(kMost, bytes.size());
        const iovec into{seen.data(), count};
        const ssize_t got = process_vm_readv(getpid(), &into, 1, bytes.data(), count, 0);
        if (got < 0 && errno != EFAULT) return std::nullopt;
        if (got != static_cast<ssize_t>(count)) return false;
    }
    return true;
}

// Makes the page one that can be written to at once, and changes nothing in it. Linux 5.14 or
// newer.
bool populate(uintptr_t page, uintptr_t size) {
    return madvise(reinterpret_cast<void*>(page), size, MADV_POPULATE_WRITE) == 0 ||
           (errno != EINVAL && errno != EFAULT);
}

// Of bytes that can be read. To write what is there would undo what another thread writes
// meanwhile.
bool canWrite(std::span<const iovec> bytes) {
    static const auto size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto pageOf = [](const void* at) {
        return reinterpret_cast<uintptr_t>(at) & ~(size - 1);
    };
    static const bool is_known = populate(pageOf(&bytes), size);
    if (!is_known) return true;
    uintptr_t last = 0;
    for (const iovec& byte : bytes) {
        const uintptr_t page = pageOf(byte.iov_base);
        if (page != std::exchange(last, page) && !populate(page, size)) return false;
    }
    return true;
}

bool canUse(std::span<const iovec> bytes, Use use) {
    const auto can_read = canRead(bytes);
    if (!can_read) return true;
    return *can_read && (use == Use::kIsRead || canWrite(bytes));
}

void addEnds(const Slices& slices, std::vector<iovec>* bytes) {
    for (const Slice& slice : slices) {
        if (slice.ptr == nullptr || slice.size == 0) continue;
        bytes->push_back({slice.ptr, 1});
        if (slice.size > 1) bytes->push_back({static_cast<char*>(slice.ptr) + slice.size - 1, 1});
    }
}

}  // namespace

bool isReachable(const Slices& slices, Use use) {
    std::vector<iovec> bytes;
    addEnds(slices, &bytes);
    return canUse(bytes, use);
}

bool dropUnreachable(std::vector<Slices>& lists, Use use) {
    std::vector<iovec> bytes;
    for (const Slices& slices : lists) addEnds(slices, &bytes);
    if (canUse(bytes, use)) return false;
    for (Slices& slices : lists) {
        if (!isReachable(slices, use)) slices.clear();
    }
    return true;
}

void reportUnreachable() {
    rememberError(kWhy);
    LOG_EVERY_T(ERROR, 60) << kWhy;
}

}  // namespace mooncake::python
