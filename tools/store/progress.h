// SPDX-License-Identifier: Apache-2.0
// A bar on a terminal for what takes long: how far it is, and how long it will take.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "output.h"

namespace mooncake::store::tool {

// How the bar looks. `done` may exceed `total`, and a total of 0 is one that is not known.
std::string barText(const std::string& what, uint64_t done, uint64_t total,
                    std::chrono::steady_clock::duration elapsed);

class Progress {
 public:
    // Says nothing where messages do not go to a terminal.
    Progress(Output& output, std::string what, uint64_t total)
        : output_(output), what_(std::move(what)), total_(total) {}
    // Takes the bar away.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void add(uint64_t count);

 private:
    Output& output_;
    const std::string what_;
    const uint64_t total_;
    const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point shown_ = begin_;
    uint64_t done_ = 0;
    size_t width_ = 0;  // of what stands on the terminal
};

}  // namespace mooncake::store::tool
