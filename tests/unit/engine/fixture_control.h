// SPDX-License-Identifier: Apache-2.0
// What a test and the transport in a fixture plugin share: args[0] of installTransport points to
// one.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <vector>

#include "transfer_metadata.h"
#include "transport/transport.h"

namespace mooncake::test {

struct FixtureControl {
    std::atomic<int> install_result{0};
    std::atomic<int> register_result{0};
    std::atomic<int> unregister_result{0};
    std::atomic<int> memory_result{0};
    std::atomic<bool> complete_at_once{true};
    std::atomic<int> destroyed{0};
    // Called by registerLocalFile before anything else.
    std::function<void()> on_register = [] {};
    // Called by the destructor, after it ended all requests.
    std::function<void()> on_destroy = [] {};

    std::mutex mutex;  // of what follows
    std::set<TransferMetadata::FileBufferID> files;
    std::set<void*> memory;
    std::vector<Transport::TransferRequest> requests;  // as they were handed over
};

}  // namespace mooncake::test
