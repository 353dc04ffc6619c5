// SPDX-License-Identifier: Apache-2.0
#include "request_slab.h"

#include <new>

namespace mooncake::nvmeof_generic::io {
namespace {
constexpr size_t kSlabBytes = 64 << 10;
constexpr size_t kRequests = kSlabBytes / sizeof(Request) - 1;
}  // namespace

struct alignas(64) RequestSlab::Slab {
    Slab* next;
    alignas(64) Request requests[kRequests];
};

bool RequestSlab::grow() {
    static_assert(sizeof(Slab) <= kSlabBytes);
    Slab* slab = new (std::nothrow) Slab;
    if (slab == nullptr) return false;
    slab->next = slabs_;
    slabs_ = slab;
    footprint_ += sizeof(Slab);
    for (size_t i = kRequests; i-- > 0;) {
        slab->requests[i].next = free_;
        free_ = &slab->requests[i];
    }
    return true;
}

void RequestSlab::freeSlabs() {
    while (slabs_ != nullptr) delete std::exchange(slabs_, slabs_->next);
    free_ = nullptr;
    footprint_ = 0;
}

}  // namespace mooncake::nvmeof_generic::io
