// SPDX-License-Identifier: Apache-2.0
// What is measured, a file each.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "figures.h"

namespace mooncake::store_bench {

struct Settings {
    std::string folder;  // for files; direct I/O works there
    uint64_t pool_bytes = 0;
    unsigned turns = 0;
    std::chrono::milliseconds turn{0};  // of what has no end of its own
    std::string etcd;                   // etcd://host:port; empty: nothing is measured there
    int etcd_process = 0;               // on this machine, or 0

    std::string poolFile() const { return folder + "/pool"; }
    // Another file of the same size.
    std::string otherFile() const { return folder + "/other"; }
};

struct Transfer {
    bool writes = false;
    size_t size = 0;  // of an object; whole blocks
    size_t batch = 1;
    size_t threads = 1;
    double ratio_at_least = 0;  // 0: not judged
    double processor_at_most = 0;
};

// Objects of the client against the same bytes by the engine alone, in batches of as many: gets at
// the very places, puts one after the other in another file. Both wait for a batch before the next.
void measureTransfer(const Settings& settings, const Transfer& transfer, Report* report);

// How long it takes to tell which of 20,000 keys there are, half of them, by a client that has
// asked for nothing before; and the directory's bytes for each object.
void measureDirectory(const Settings& settings, const std::string& kind, Report* report);

// Puts of 4 KiB by 16 threads, in calls of `batch`; and transactions of 100 keys, one after the
// other, of etcd itself.
void measureCommits(const Settings& settings, size_t batch, Report* report);

// How long puts of `size` take in a pool with space and in a full one.
void measureFullPool(const Settings& settings, size_t size, size_t threads, Report* report);

}  // namespace mooncake::store_bench
