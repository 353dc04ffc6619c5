// SPDX-License-Identifier: Apache-2.0
// SIGHUP, SIGINT and SIGTERM as something that can be waited for.
#pragma once

namespace mooncake::file_server {

/// Make one in main before any thread starts: threads inherit that the signals are blocked.
class ServiceSignals {
 public:
    enum class Request { kReload, kStop, kControl };

    /// Blocks the signals for this thread and those it starts. Throws std::system_error.
    ServiceSignals();
    ~ServiceSignals();
    ServiceSignals(const ServiceSignals&) = delete;
    ServiceSignals& operator=(const ServiceSignals&) = delete;

    /// Waits for a signal, or for something to read. Stop goes before all else, and is not taken:
    /// every further call returns it.
    /// @param control  a descriptor; kControl when it can be read. Negative: none
    Request wait(int control = -1);

    /// Whether wait() would return kStop at once. Takes nothing.
    bool stopRequested() const;

 private:
    int fd_;
};

}  // namespace mooncake::file_server
