// SPDX-License-Identifier: Apache-2.0
// Bytes that a call has on their way to or from files.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "file_table.h"

namespace mooncake::store {

// Counted by the files while it lives, whatever ends the call. One thread.
class InFlight {
 public:
    InFlight() = default;
    ~InFlight() {
        for (const auto& [load, bytes] : counted_) load->in_flight -= bytes;
    }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

    void add(const std::shared_ptr<FileLoad>& load, uint64_t bytes) {
        if (counted_.empty() || counted_.back().first != load) counted_.emplace_back(load, 0);
        counted_.back().second += bytes;
        load->in_flight += bytes;
    }

 private:
    std::vector<std::pair<std::shared_ptr<FileLoad>, uint64_t>> counted_;
};

}  // namespace mooncake::store
