// SPDX-License-Identifier: Apache-2.0
#include "caller_memory.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uintptr_t kPage = 4096;  // the smallest that there is

/// The kernel reads the 8 bytes before it looks at the first argument, which makes no sense.
bool isReadable(uintptr_t address) {
    const auto* const set = reinterpret_cast<const void*>(address & ~uintptr_t{7});
    return syscall(SYS_rt_sigprocmask, ~0, set, nullptr, size_t{8}) == 0 || errno != EFAULT;
}

}  // namespace

CallerMemory::CallerMemory() : zeros_(open("/dev/zero", O_RDONLY | O_CLOEXEC)) {}

/// Calls `touch` with an address in each page that was not looked at just before.
template <class Touch>
bool CallerMemory::Check::forPages(uintptr_t begin, size_t length, const Touch& touch) {
    const uintptr_t end = begin + length;
    for (uintptr_t page = begin & ~(kPage - 1); page < end; page += kPage) {
        if (page == last_) continue;
        if (!touch(std::max(page, begin))) return false;
        last_ = page;
    }
    return true;
}

bool CallerMemory::Check::canRead(const char* memory, size_t length) {
    return forPages(reinterpret_cast<uintptr_t>(memory), length, isReadable);
}

bool CallerMemory::Check::canWrite(char* memory, size_t length) {
    return forPages(reinterpret_cast<uintptr_t>(memory), length, [this](uintptr_t address) {
        if (count_ == kPages && !endWriting()) return false;
        bytes_[count_++] = {reinterpret_cast<void*>(address), 1};
        return true;
    });
}

bool CallerMemory::Check::endWriting() {
    const auto count = static_cast<int>(count_);
    count_ = 0;
    return count == 0 || readv(memory_.zeros_.get(), bytes_.data(), count) == count;
}

}  // namespace mooncake::nvmeof_generic::io
