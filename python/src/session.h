// SPDX-License-Identifier: Apache-2.0
// A store between setup() and close().
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "local_buffer.h"
#include "mooncake_store/client.h"
#include "port.h"
#include "setup_request.h"

namespace mooncake::python {

// Memory that the program has named, which is a limit for what is read into it.
class RegisteredMemory {
 public:
    void add(uintptr_t begin, uint64_t size) { sizes_[begin] = size; }
    void remove(uintptr_t begin) { sizes_.erase(begin); }
    // Bytes from there to the end of what it lies in; nothing where that is not known.
    std::optional<uint64_t> bytesFrom(uintptr_t address) const;

 private:
    std::map<uintptr_t, uint64_t> sizes_;
};

class Session {
 public:
    // Joins the store and mounts what is to be mounted; waits. INVALID_PARAMS, or the code of a
    // mount; the cause is in the log and in lastError(). Not in a process that was forked off one
    // with a session: SQLite and gRPC cannot begin anew there.
    static tl::expected<std::shared_ptr<Session>, ErrorCode> open(SetupRequest request);

    Client& client() const { return *client_; }
    const std::string& hostname() const { return hostname_; }
    const std::shared_ptr<LocalBuffer>& buffer() const { return buffer_; }
    // The GIL guards it.
    RegisteredMemory& memory() { return memory_; }
    // Whether it was opened by this process.
    bool isOwn() const;

 private:
    Session();

    static std::atomic<int64_t> first_process_;

    const unsigned process_;
    std::unique_ptr<NamedPort> port_;
    std::string hostname_;
    std::shared_ptr<LocalBuffer> buffer_;
    std::shared_ptr<Client> client_;
    RegisteredMemory memory_;
};

// What, why and what to do about it, of the last call of this thread that failed.
std::string lastError();
void rememberError(const std::string& message);
// And logs it.
void setLastError(const std::string& message);

}  // namespace mooncake::python
