// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "request.h"

namespace mooncake::nvmeof_generic::io {

/// Memory for requests, at addresses that stay, used again last out first in. Not thread-safe.
class RequestSlab {
 public:
    RequestSlab() = default;
    RequestSlab(const RequestSlab&) = delete;
    RequestSlab& operator=(const RequestSlab&) = delete;
    ~RequestSlab() { freeSlabs(); }

    /// @return a record to be start()ed, null without memory
    Request* allocate() {
        if (free_ == nullptr && !grow()) return nullptr;
        Request* request = free_;
        free_ = request->next;
        ++used_;
        return request;
    }
    void free(Request* request) {
        request->next = free_;
        free_ = request;
        --used_;
    }

    /// Gives the memory back, all or nothing: nothing while a record is in use.
    void trim() {
        if (used_ == 0) freeSlabs();
    }

    bool hasFree() const { return free_ != nullptr; }
    size_t used() const { return used_; }
    /// Bytes taken from the system.
    size_t footprint() const { return footprint_; }

 private:
    struct Slab;
    bool grow();
    void freeSlabs();

    Request* free_ = nullptr;
    Slab* slabs_ = nullptr;
    size_t used_ = 0;
    size_t footprint_ = 0;
};

}  // namespace mooncake::nvmeof_generic::io
