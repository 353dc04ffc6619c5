// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/this_process.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

namespace mooncake::nvmeof_generic {
namespace {

// No kernel has larger pages.
constexpr uintptr_t kPage = 65536;

// A whole page lies in here. Without an initial value: private memory that comes from no file, as
// MADV_WIPEONFORK wants it. Part of the library, it needs no freeing when that is unloaded.
char area[2 * kPage];

// What the kernel sets to 0 in each forked child.
std::atomic<uint64_t>& mark() {
    const auto start = (reinterpret_cast<uintptr_t>(area) + kPage - 1) & ~(kPage - 1);
    return *reinterpret_cast<std::atomic<uint64_t>*>(start);
}

// Copied by a fork: so a child's number is larger than all that it has inherited.
std::atomic<uint64_t> processes{0};

uint64_t nameThisProcess() {
    if (::madvise(&mark(), kPage, MADV_WIPEONFORK) != 0) return static_cast<uint64_t>(::getpid());
    uint64_t number = processes.fetch_add(1, std::memory_order_relaxed) + 1;
    uint64_t none = 0;
    return mark().compare_exchange_strong(none, number) ? number : none;
}

}  // namespace

uint64_t thisProcess() {
    const uint64_t number = mark().load(std::memory_order_relaxed);
    return number != 0 ? number : nameThisProcess();
}

}  // namespace mooncake::nvmeof_generic
