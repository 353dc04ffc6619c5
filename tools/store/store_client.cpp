// SPDX-License-Identifier: Apache-2.0
#include "store_client.h"

#include "key_text.h"

namespace mooncake::store::tool {

namespace {

Failure failureOf(ErrorCode code) {
    switch (code) {
        case ErrorCode::OBJECT_NOT_FOUND:
            return Failure::kNotFound;
        case ErrorCode::CHECKSUM_MISMATCH:
            return Failure::kDamaged;
        case ErrorCode::NO_AVAILABLE_HANDLE:
            return Failure::kNoSpace;
        case ErrorCode::INVALID_PARAMS:
            return Failure::kInvalid;
        case ErrorCode::RPC_TIMEOUT:
            return Failure::kTimeout;
        case ErrorCode::RPC_FAIL:
        case ErrorCode::TRANSFER_FAIL:
        case ErrorCode::WRITE_FAIL:
            return Failure::kUnavailable;
        default:
            return Failure::kInternal;
    }
}

const char* remedyFor(ErrorCode code) {
    switch (code) {
        case ErrorCode::OBJECT_NOT_FOUND:
            return "there is none, or no node serves a copy of it (list and status tell)";
        case ErrorCode::CHECKSUM_MISMATCH:
            return "no copy has the bytes that were put; put it again";
        case ErrorCode::NO_AVAILABLE_HANDLE:
            return "no node serves a file with room, and nothing can be evicted";
        default:
            return nullptr;
    }
}

}  // namespace

tl::unexpected<Error> clientFailed(const std::string& what, ErrorCode code) {
    const char* remedy = remedyFor(code);
    const std::string why = remedy != nullptr ? remedy : Client::LastError();
    return failed(failureOf(code), what + ": " + toString(code) + (why.empty() ? "" : ": " + why));
}

Result<std::shared_ptr<Client>> makeClient(const CommandLine& line) {
    ClientOptions options;
    options.local_hostname = line.local_hostname;
    options.metadata_server = line.metadata_server;
    options.protocol = line.protocol;
    options.directory = line.directory;
    options.timeout = line.timeout;
    auto client = Client::Create(options);
    if (!client) return clientFailed("this process cannot join the store", client.error());
    return std::move(*client);
}

Result<std::string> keyOf(const std::string& text) {
    auto key = parseKey(text);
    if (key) return std::move(*key);
    return failed(Failure::kInvalid, "'" + text +
                                         "' is no key: its backslash stands for nothing; write "
                                         "\"\\\\\", or \"\\x\" and two digits");
}

}  // namespace mooncake::store::tool
