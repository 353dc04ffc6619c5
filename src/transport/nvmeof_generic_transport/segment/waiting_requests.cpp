// SPDX-License-Identifier: Apache-2.0
#include "waiting_requests.h"

#include <algorithm>
#include <utility>

namespace mooncake::nvmeof_generic {

void WaitingRequests::add(WaitingRequest waiting, Clock::time_point since) {
    waiting.deadline = since + patience_;
    const uint32_t fileId = waiting.fileId;
    const auto entry = all_.emplace(waiting.deadline, Entry{waiting, {}});
    try {
        entry->second.queued = files_[fileId].emplace(waiting.notBefore, entry);
    } catch (...) {
        all_.erase(entry);
        dropIfEmpty(fileId);
        throw;
    }
}

void WaitingRequests::dropIfEmpty(uint32_t fileId) noexcept {
    const auto file = files_.find(fileId);
    if (file != files_.end() && file->second.empty()) files_.erase(file);
}

WaitingRequests::Clock::time_point WaitingRequests::firstDeadline() const {
    return all_.empty() ? Clock::time_point::max() : all_.begin()->first;
}

WaitingRequests::Clock::time_point WaitingRequests::firstDue() const {
    auto first = Clock::time_point::max();
    for (const auto& [id, queue] : files_) {
        const auto when = queue.begin()->first;
        if (when == Clock::time_point{}) return Clock::time_point::min();
        first = std::min(first, when);
    }
    return first;
}

WaitingRequests::Due WaitingRequests::due(Clock::time_point now) const {
    Due due;
    for (const auto& [id, queue] : files_) {
        if (queue.begin()->first > now) continue;
        due.files.insert(id);
        const auto retry = queue.upper_bound(Clock::time_point{});
        due.retries = due.retries || (retry != queue.end() && retry->first <= now);
    }
    return due;
}

void WaitingRequests::postponeRetries(uint32_t fileId, Clock::time_point now,
                                      Clock::time_point until) noexcept {
    const auto file = files_.find(fileId);
    if (file == files_.end()) return;
    Queue& queue = file->second;
    for (auto at = queue.upper_bound(Clock::time_point{}); at != queue.end() && at->first <= now;) {
        auto node = queue.extract(at++);
        node.key() = until;
        Entry& entry = node.mapped()->second;
        entry.waiting.notBefore = until;
        entry.queued = queue.insert(std::move(node));
    }
}

// Leaves the file's queue as it is.
void WaitingRequests::move(Taken::iterator entry, Taken& to) noexcept {
    to.insert(all_.extract(entry));
}

WaitingRequests::Taken WaitingRequests::takeAll() noexcept {
    files_.clear();
    return std::exchange(all_, {});
}

WaitingRequests::Taken WaitingRequests::takeLate(Clock::time_point now) noexcept {
    Taken taken;
    while (!all_.empty() && all_.begin()->first <= now) {
        const Entry& entry = all_.begin()->second;
        const uint32_t fileId = entry.waiting.fileId;
        files_.find(fileId)->second.erase(entry.queued);
        dropIfEmpty(fileId);
        move(all_.begin(), taken);
    }
    return taken;
}

WaitingRequests::Taken WaitingRequests::takeFile(uint32_t fileId) noexcept {
    return takeDue(fileId, Clock::time_point::max());
}

WaitingRequests::Taken WaitingRequests::takeDue(uint32_t fileId, Clock::time_point now) noexcept {
    Taken taken;
    if (const auto file = files_.find(fileId); file != files_.end()) {
        moveDue(file->second, now, taken);
        dropIfEmpty(fileId);
    }
    return taken;
}

WaitingRequests::Taken WaitingRequests::takeDue(Clock::time_point now) noexcept {
    Taken taken;
    for (auto file = files_.begin(); file != files_.end();) {
        moveDue(file->second, now, taken);
        file = file->second.empty() ? files_.erase(file) : std::next(file);
    }
    return taken;
}

void WaitingRequests::moveDue(Queue& queue, Clock::time_point now, Taken& to) noexcept {
    while (!queue.empty() && queue.begin()->first <= now) {
        move(queue.begin()->second, to);
        queue.erase(queue.begin());
    }
}

}  // namespace mooncake::nvmeof_generic
