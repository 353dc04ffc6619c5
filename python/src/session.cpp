// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstdlib>

#include "node_address.h"
#include "process.h"

namespace mooncake::python {
namespace {

// The smallest file that a store takes.
constexpr uint64_t kSmallestFile = 9 << 20;

std::string scratchFolder(const SetupRequest& request) {
    if (!request.scratch_folder.empty()) return request.scratch_folder;
    const char* const named = std::getenv("MC_STORE_SCRATCH_FOLDER");
    return named == nullptr ? "/var/tmp" : named;
}

tl::expected<void, ErrorCode> mountFiles(Client& client, const SetupRequest& request) {
    for (const std::string& path : request.files) {
        if (path.empty()) continue;
        const auto mounted = client.MountFileSegment(path);
        if (mounted) continue;
        if (mounted.error() != ErrorCode::SEGMENT_ALREADY_EXISTS || !request.shares_files) {
            return mounted;
        }
        LOG(INFO) << "setup: " << path << " is served by another process of this machine";
    }
    return {};
}

tl::expected<void, ErrorCode> mountAll(Client& client, const SetupRequest& request) {
    if (!request.files.empty()) return mountFiles(client, request);
    if (request.global_segment_size == 0) return {};
    const auto path = client.MountScratchFile(scratchFolder(request),
                                              std::max(request.global_segment_size, kSmallestFile));
    if (!path) return tl::unexpected(path.error());
    return {};
}

// What was said last, and what the client's last error was then.
struct OwnError {
    std::string message;
    std::string before;
};
OwnError& ownError() {
    thread_local OwnError error;
    return error;
}

}  // namespace

std::optional<uint64_t> RegisteredMemory::bytesFrom(uintptr_t address) const {
    auto after = sizes_.upper_bound(address);
    if (after == sizes_.begin()) return std::nullopt;
    const auto& [begin, size] = *--after;
    if (address - begin >= size) return std::nullopt;
    return size - (address - begin);
}

Session::Session() : process_(processNumber()) {}

bool Session::isOwn() const {
    return process_ == processNumber();
}

// Of the first session that was opened by this process or one that it was forked off.
std::atomic<int64_t> Session::first_process_{-1};

tl::expected<std::shared_ptr<Session>, ErrorCode> Session::open(SetupRequest request) {
    int64_t first = -1;
    if (!first_process_.compare_exchange_strong(first, processNumber()) &&
        first != processNumber()) {
        // A log that another thread was writing at the fork would never let it go.
        rememberError(
            "setup: this process was forked off one that had set up a store, and has copies of "
            "locks that nobody opens; start it with multiprocessing's spawn or forkserver, or "
            "before the first setup()");
        return tl::unexpected(ErrorCode::INVALID_PARAMS);
    }
    const auto refuse = [](const std::string& why) {
        setLastError("setup: " + why);
        return tl::unexpected(ErrorCode::INVALID_PARAMS);
    };
    const auto transport = transportOf(request);
    if (!transport) return refuse(transport.error());
    std::shared_ptr<Session> session(new Session());
    session->buffer_ = std::make_shared<LocalBuffer>(request.local_buffer_size);
    if (!hasPort(request.local_hostname)) {
        session->port_ = std::make_unique<NamedPort>();
        const uint16_t port = session->port_->number();
        if (port == 0) return refuse("no port from 12300 to 14300 is free; name one");
        request.local_hostname = withPort(request.local_hostname, port);
    }
    ClientOptions options;
    options.local_hostname = request.local_hostname;
    options.metadata_server = request.metadata_server;
    options.protocol = transport->protocol;
    options.protocol_args = transport->args;
    options.directory = request.master_server_addr;
    auto client = Client::Create(options);
    if (!client) return refuse(Client::LastError());
    session->client_ = std::move(*client);
    // Where the name has port 0, it is the engine that knows the port.
    session->hostname_ = request.local_hostname.ends_with(":0")
                             ? session->client_->GetTransportEndpoint()
                             : request.local_hostname;
    if (const auto mounted = mountAll(*session->client_, request); !mounted) {
        setLastError("setup: " + Client::LastError());
        return tl::unexpected(mounted.error());
    }
    return session;
}

std::string lastError() {
    const std::string of_client = Client::LastError();
    return of_client == ownError().before && !ownError().message.empty() ? ownError().message
                                                                         : of_client;
}

void rememberError(const std::string& message) {
    ownError() = {message, Client::LastError()};
}

void setLastError(const std::string& message) {
    rememberError(message);
    LOG(ERROR) << message;
}

}  // namespace mooncake::python
