// SPDX-License-Identifier: Apache-2.0
#include "engine_file.h"

#include <vector>

#include "flight.h"

namespace mooncake::store {
namespace {

constexpr std::chrono::milliseconds kLongestWait(100);

}  // namespace

Result<> EngineFile::read(uint64_t offset, std::span<std::byte> into) {
    if (into.empty()) return {};
    TransferRequest request{};
    request.opcode = TransferRequest::READ;
    request.source = into.data();
    request.target_id = way_.segment;
    request.file_id = way_.file;
    request.target_offset = offset;
    request.length = into.size();
    Flight flight(engine_);
    flight.prepare(1);
    flight.add(request, 0);
    flight.submit();
    bool good = false;
    bool ended = false;
    while (!ended) {
        ended = flight.poll([&](uint32_t, bool moved) { good = moved; });
        if (!ended) engine_.waitForProgress(kLongestWait);
    }
    flight.finish();
    if (good) return {};
    return failed(Failure::kUnavailable, "a file of the store cannot be read at " +
                                             std::to_string(offset) +
                                             "; the transport's log says why");
}

Result<> EngineFile::write(uint64_t, std::span<const std::byte>) {
    return failed(Failure::kUnsupported, "files are only read this way");
}

Result<> EngineFile::flush() {
    return failed(Failure::kUnsupported, "files are only read this way");
}

}  // namespace mooncake::store
