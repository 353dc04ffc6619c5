// SPDX-License-Identifier: Apache-2.0
// What the server counts, in the text form of Prometheus.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace mooncake {

// Every function may be called from any thread.
class ServerMetrics {
 public:
    // A request has been answered.
    void answered(const std::string& method, int status);
    // One that was refused, or a connection, for that cause.
    void refused(const std::string& cause, uint64_t count = 1);

    // The counters, and the values as they are now.
    struct Values {
        size_t keys = 0;
        size_t bytes = 0;
        size_t max_bytes = 0;
        size_t connections = 0;
        size_t pending_bytes = 0;
        uint64_t accepted = 0;
        uint64_t crowded_out = 0;
        uint64_t too_greedy = 0;
    };
    std::string text(const Values& values) const;

 private:
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, int>, uint64_t> requests_;
    std::map<std::string, uint64_t> refused_;
};

}  // namespace mooncake
