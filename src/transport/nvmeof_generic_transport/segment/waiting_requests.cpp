// SPDX-License-Identifier: Apache-2.0
#include "waiting_requests.h"

#include <algorithm>

namespace mooncake::nvmeof_generic {

void WaitingRequests::add(WaitingRequest waiting, Clock::time_point since) {
    waiting.deadline = since + patience_;
    retries_ += waiting.isRetry();
    waiting_.push_back(waiting);
}

WaitingRequests::Clock::time_point WaitingRequests::firstDeadline() const {
    auto first = Clock::time_point::max();
    for (const WaitingRequest& waiting : waiting_) first = std::min(first, waiting.deadline);
    return first;
}

WaitingRequests::Clock::time_point WaitingRequests::firstDue() const {
    if (retries_ < waiting_.size()) return Clock::time_point::min();
    auto first = Clock::time_point::max();
    for (const WaitingRequest& waiting : waiting_) first = std::min(first, waiting.notBefore);
    return first;
}

WaitingRequests::Due WaitingRequests::due(Clock::time_point now) const {
    Due due;
    for (const WaitingRequest& waiting : waiting_) {
        if (waiting.notBefore > now) continue;
        due.files.insert(waiting.fileId);
        due.retries = due.retries || waiting.isRetry();
    }
    return due;
}

void WaitingRequests::postponeRetries(uint32_t fileId, Clock::time_point now,
                                      Clock::time_point until) {
    for (WaitingRequest& waiting : waiting_) {
        const bool due = waiting.fileId == fileId && waiting.notBefore <= now;
        if (due && waiting.isRetry()) waiting.notBefore = until;
    }
}

std::vector<WaitingRequest> WaitingRequests::take(const Predicate& which) {
    std::vector<WaitingRequest> taken;
    std::erase_if(waiting_, [&](const WaitingRequest& waiting) {
        if (!which(waiting)) return false;
        retries_ -= waiting.isRetry();
        taken.push_back(waiting);
        return true;
    });
    return taken;
}

}  // namespace mooncake::nvmeof_generic
