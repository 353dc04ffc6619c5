// SPDX-License-Identifier: Apache-2.0
// A transport whose files are memory, for tests of what stands on the engine. It moves bytes on a
// thread of its own, in any order, and a test can let chosen requests fail, wait, tear or lie. It
// is a plugin, "memory"; args[0] of installTransport points to what a test and all engines of a
// process share.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "transport/transport.h"

namespace test_support {

enum class TransferFault {
    kNone,
    kFail,     // nothing moves, and it says so
    kHold,     // until release()
    kTear,     // half of it moves, and it says so
    kLie,      // half of it moves, and it says that all did
    kCorrupt,  // one byte is another one, and it says nothing
};

struct MemoryTransportControl {
    using Request = mooncake::Transport::TransferRequest;
    using Bytes = std::vector<std::byte>;

    // A file of this path, which keeps its bytes while nobody exports it.
    std::shared_ptr<Bytes> file(const std::string& path) {
        const std::lock_guard lock(mutex);
        return files[path];
    }
    // The requests that are held go on, and no later one is held.
    void release() {
        {
            const std::lock_guard lock(mutex);
            released = true;
        }
        changed.notify_all();
    }
    void hold() {
        const std::lock_guard lock(mutex);
        released = false;
    }
    // Returns when as many requests wait for release().
    void waitForHeld(size_t count) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return held >= count; });
    }

    // Set before requests come. Called on the thread that submits, with the path of the file.
    std::function<TransferFault(const Request&, const std::string& path)> fault =
        [](const Request&, const std::string&) { return TransferFault::kNone; };
    // In the test's code, since the plugin's is gone when the last engine is.
    const std::function<std::shared_ptr<Bytes>()> make_file = [] {
        return std::make_shared<Bytes>();
    };
    uint64_t seed = 1;  // of the order in which requests end

    std::mutex mutex;  // of what follows
    std::condition_variable changed;
    std::map<std::string, std::shared_ptr<Bytes>> files;
    std::vector<Request> requests;  // as they were submitted
    size_t calls = 0;               // of submit
    size_t held = 0;
    bool released = false;
};

}  // namespace test_support
