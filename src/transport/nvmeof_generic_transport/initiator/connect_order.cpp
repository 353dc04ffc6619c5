// SPDX-License-Identifier: Apache-2.0
#include "connect_order.h"

#include <cerrno>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

// Of targets; then everything is forgotten.
constexpr size_t kMostKnown = 4096;

}  // namespace

ConnectOrder::ConnectOrder(std::chrono::milliseconds slow) : slow_(slow) {}

ConnectOrder::Turn::Turn(ConnectOrder& order, std::string target)
    : order_(&order), target_(std::move(target)) {}

ConnectOrder::Turn::Turn(Turn&& other) noexcept
    : order_(std::exchange(other.order_, nullptr)),
      target_(std::move(other.target_)),
      since_(other.since_),
      succeeded_(other.succeeded_) {}

ConnectOrder::Turn::~Turn() {
    if (order_ != nullptr) order_->leave(target_, succeeded_, Clock::now() - since_);
}

Result<ConnectOrder::Turn> ConnectOrder::enter(const std::string& target, bool answered,
                                               Clock::time_point deadline,
                                               const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const Standing mine = standing(target, answered);
    Queue& queue = queues_[mine];
    const auto place = queue.insert(queue.end(), &target);
    const bool mayGo = changed_.wait_until(lock, stop, deadline, [&] {
        if (busy_ || queue.begin() != place) return false;
        for (const auto& [better, others] : queues_) {
            if (better < mine && !others.empty()) return false;
        }
        return true;
    });
    queue.erase(place);
    if (mayGo) {
        busy_ = true;
        return Turn(*this, target);
    }
    // Nobody has to be told: who is behind waits for one before this, too, or for leave().
    return makeError(stop.stop_requested() ? ECANCELED : ETIMEDOUT,
                     "waiting for other connects before that to " + target);
}

size_t ConnectOrder::waiting() const {
    std::lock_guard lock(mutex_);
    size_t all = 0;
    for (const auto& [standing, queue] : queues_) all += queue.size();
    return all;
}

ConnectOrder::Standing ConnectOrder::standing(const std::string& target, bool answered) const {
    const auto known = known_.find(target);
    if (known != known_.end()) return known->second;
    return answered ? Standing::kAnswered : Standing::kUnknown;
}

void ConnectOrder::leave(const std::string& target, bool succeeded, Clock::duration took) {
    std::lock_guard lock(mutex_);
    busy_ = false;
    if (succeeded || took >= slow_) {
        if (known_.size() >= kMostKnown) known_.clear();
        known_[target] = succeeded ? Standing::kConnectedBefore : Standing::kHeldUp;
    }
    changed_.notify_all();
}

}  // namespace mooncake::nvmeof_generic
