// SPDX-License-Identifier: Apache-2.0
// Of RemoteSegment, for its two sources.
#pragma once

#include <glog/logging.h>

#include <new>
#include <optional>
#include <string>

#include "remote_segment.h"

namespace mooncake::nvmeof_generic {

// Before a request is tried again, and until the next look at a connection that is not up yet.
inline constexpr std::chrono::milliseconds kRetryPause{200};

inline std::string leftOut(uint64_t lines) {
    return lines == 0 ? "" : " (" + std::to_string(lines) + " such lines left out)";
}

// Needs no memory: without any, the line in the log is left out, and nobody is tried again.
template <class Take>
void RemoteSegment::endWaiting(const Take& take, const Error& error, Last last) noexcept {
    WaitingRequests::Taken ending;
    std::optional<uint64_t> line;
    {
        const MutexLock lock(mutex_);
        const auto now = Clock::now();
        ending = take();
        for (auto at = ending.begin(); at != ending.end();) {
            const auto one = at++;
            if (waitAnew(one->second.waiting, error, last, now)) ending.erase(one);
        }
        if (!ending.empty()) line = endLog_.admit(now);
    }
    if (line) {
        try {
            LOG(ERROR) << ending.size() << " request(s) failed: " << error.message
                       << leftOut(*line);
        } catch (const std::bad_alloc&) {
            // Then without it.
        }
    }
    for (const auto& [deadline, entry] : ending) {
        const WaitingRequest& waiting = entry.waiting;
        context_.owner->onEnded(waiting.request.context, error.code, 0, *counters(waiting.fileId));
    }
}

}  // namespace mooncake::nvmeof_generic
