// SPDX-License-Identifier: Apache-2.0
// The addresses of hosts, in bounded time: the system's own function (getaddrinfo) has no limit.
#pragma once

#include <netdb.h>
#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace mooncake {

// Lookups run in threads of their own, a few at most, and who has waited long enough leaves them to
// themselves. What was found is kept for a while, and used beyond that as long as the name service
// does not answer. Every function may be called from any thread.
class Resolver {
 public:
    using Clock = std::chrono::steady_clock;
    using Addresses = std::vector<sockaddr_storage>;
    // The addresses of a host, without ports, or one of getaddrinfo's errors. May block.
    using Lookup = std::function<int(const std::string& host, Addresses* addresses)>;

    struct Limits {
        size_t threads = 8;
        // A lookup that takes longer counts as stuck: where all threads are, no other waits for one
        // of them.
        std::chrono::milliseconds stuck{1000};
        std::chrono::milliseconds fresh{30000};  // how long what was found is used unasked
        // How long a new answer is waited for where there is an old one.
        std::chrono::milliseconds patience{500};
        std::chrono::hours stale{24};  // older than that it is not used
        size_t names = 1024;           // that are remembered
    };

    Resolver(const Limits& limits, Lookup lookup);
    // Lookups that are under way go on without it.
    ~Resolver() = default;
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // The one of this process, with the system's function. A child of fork has one of its own.
    static Resolver& ofProcess();

    // An address in figures is itself. Dns, with the host and the cause, where there is no address
    // by the deadline.
    Status resolve(const std::string& host, Clock::time_point deadline, Addresses* addresses);

 private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the threads
};

// Whether it is an address in figures: then *address is that.
bool parseAddress(const std::string& host, sockaddr_storage* address);
void setPort(sockaddr_storage* address, uint16_t port);
socklen_t sizeOf(const sockaddr_storage& address);

}  // namespace mooncake
