// SPDX-License-Identifier: Apache-2.0
// SIGHUP, SIGINT and SIGTERM as something that can be waited for.
#pragma once

namespace mooncake::file_server {

/// Make one in main before any thread starts: threads inherit that the signals are blocked.
class ServiceSignals {
 public:
    enum class Request { kReload, kStop };

    /// Blocks the signals for this thread and those it starts. Throws std::system_error.
    ServiceSignals();
    ~ServiceSignals();
    ServiceSignals(const ServiceSignals&) = delete;
    ServiceSignals& operator=(const ServiceSignals&) = delete;

    /// Waits for a signal. Stop goes before reload, and is not taken: every further call returns
    /// it.
    Request wait();

    /// Whether wait() would return kStop at once. Takes nothing.
    bool stopRequested() const;

 private:
    int fd_;
};

}  // namespace mooncake::file_server
