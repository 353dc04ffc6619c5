// SPDX-License-Identifier: Apache-2.0
// A TCP connection on which every operation ends by a point in time, however slowly the other side
// sends or reads.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "endpoints.h"

namespace mooncake {

// One thread at a time. Raises no signal.
class DeadlineSocket {
 public:
    using Time = std::chrono::steady_clock::time_point;

    DeadlineSocket() = default;
    ~DeadlineSocket();
    DeadlineSocket(DeadlineSocket&& other) noexcept;
    DeadlineSocket& operator=(DeadlineSocket&& other) noexcept;

    // Connects to the first address of the host that accepts; the time is divided among those that
    // do not answer. Dns or Socket, with the cause, on failure.
    Status connect(const StoreEndpoint& endpoint, Time deadline);
    // Socket, with the cause, unless all of it was handed to the kernel.
    Status send(std::string_view bytes, Time deadline);
    // Appends what there is, at least one byte and at most `limit`. Socket, with the cause, at the
    // end of the connection, and after the deadline.
    Status receive(size_t limit, Time deadline, std::string* bytes);

    bool connected() const { return fd_ >= 0; }

 private:
    Status wait(short events, Time deadline, const char* what) const;

    int fd_ = -1;
};

}  // namespace mooncake
