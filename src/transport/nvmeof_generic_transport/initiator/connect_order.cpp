// SPDX-License-Identifier: Apache-2.0
#include "connect_order.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

// Of targets.
constexpr size_t kMostKnown = 4096;

// Between two looks at what other processes do.
constexpr auto kLookAgain = 10ms;

// A connect that took as long, though it succeeded, has held others up.
constexpr auto kSlowSuccess = 10s;

}  // namespace

void LastUsed::add(const std::string& target) {
    remove(target);
    // In both or, without memory, in none.
    std::list<std::string> first{target};
    places_[target] = first.begin();
    order_.splice(order_.begin(), first);
    if (order_.size() > most_) remove(std::string(order_.back()));
}

void LastUsed::remove(const std::string& target) {
    const auto found = places_.find(target);
    if (found == places_.end()) return;
    order_.erase(found->second);
    places_.erase(found);
}

ConnectOrder::ConnectOrder(std::shared_ptr<const RunFolder> folder, std::chrono::milliseconds slow)
    : slow_(slow), holdUps_(folder), machine_(folder), connectedBefore_(kMostKnown) {}

ConnectOrder::Turn::Turn(ConnectOrder& order, TransportAddress target, bool alone)
    : order_(&order), target_(std::move(target)), alone_(alone) {}

ConnectOrder::Turn::Turn(Turn&& other) noexcept
    : order_(std::exchange(other.order_, nullptr)),
      target_(std::move(other.target_)),
      alone_(other.alone_),
      since_(other.since_),
      outcome_(other.outcome_) {}

ConnectOrder::Turn::~Turn() {
    if (order_ != nullptr) order_->leave(*this);
}

Result<ConnectOrder::Turn> ConnectOrder::enter(const TransportAddress& target, bool answered,
                                               Clock::time_point deadline,
                                               const std::stop_token& stop) {
    const Reputation reputation = holdUps_.of(target);
    if (reputation.rest > 0ms) {
        return makeError(ETIMEDOUT, "cannot connect to " + toString(target), reputation.why);
    }
    std::unique_lock lock(mutex_);
    const Standing mine = reputation.suspicious                         ? Standing::kHeldUp
                          : connectedBefore_.contains(toString(target)) ? Standing::kConnectedBefore
                          : answered                                    ? Standing::kAnswered
                                                                        : Standing::kUnknown;
    // Nothing may fail any more once it is this one's turn.
    TransportAddress own = target;
    const auto alone = waitForTurn(lock, mine, target, deadline, stop);
    if (alone) {
        busy_ = true;
        return Turn(*this, std::move(own), *alone);
    }
    changed_.notify_all();
    return makeError(stop.stop_requested() ? ECANCELED : ETIMEDOUT,
                     "waiting for other connects before that to " + toString(target),
                     reputation.why);
}

// Whether it is alone in the kernel then; nothing where it has waited in vain.
std::optional<bool> ConnectOrder::waitForTurn(std::unique_lock<std::mutex>& lock, Standing mine,
                                              const TransportAddress& target,
                                              Clock::time_point deadline,
                                              const std::stop_token& stop) {
    Queue& queue = queues_[mine];
    const auto place = queue.insert(queue.end(), &target);
    if (mine != Standing::kHeldUp) machine_.setWaiting(true);
    std::optional<Clock::time_point> since;  // other processes are in the way
    std::optional<bool> alone;
    while (changed_.wait_until(lock, stop, deadline, [&] { return isNext(mine, place); })) {
        const bool suspicious = mine == Standing::kHeldUp;
        if (!since) since = Clock::now();
        const auto look = machine_.look(suspicious, *since, deadline);
        if (look != MachineTurn::Look::kBusy) {
            alone = look == MachineTurn::Look::kMine;
            break;
        }
        if (!suspicious) machine_.setWaiting(true);
        const auto again = std::min<Clock::time_point>(deadline, Clock::now() + kLookAgain);
        changed_.wait_until(lock, stop, again, [] { return false; });
        if (stop.stop_requested() || Clock::now() >= deadline) break;
    }
    queue.erase(place);
    if (!goodWaits()) machine_.setWaiting(false);
    return alone;
}

bool ConnectOrder::isNext(Standing standing, Queue::iterator place) {
    if (busy_ || queues_[standing].begin() != place) return false;
    return std::all_of(queues_.begin(), queues_.end(), [&](const auto& entry) {
        return entry.first >= standing || entry.second.empty();
    });
}

bool ConnectOrder::goodWaits() const {
    return std::any_of(queues_.begin(), queues_.end(), [](const auto& entry) {
        return entry.first != Standing::kHeldUp && !entry.second.empty();
    });
}

size_t ConnectOrder::waiting() const {
    std::lock_guard lock(mutex_);
    size_t all = 0;
    for (const auto& [standing, queue] : queues_) all += queue.size();
    return all;
}

void ConnectOrder::leave(const Turn& turn) noexcept {
    try {
        learn(turn);
    } catch (const std::bad_alloc&) {
        // What is not remembered is learnt the next time.
    }
    {
        std::lock_guard lock(mutex_);
        busy_ = false;
        machine_.giveBack();
    }
    changed_.notify_all();
}

// Before the next one has its turn.
void ConnectOrder::learn(const Turn& turn) {
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - turn.since_);
    const bool succeeded = turn.outcome_ == Turn::Outcome::kSucceeded;
    const bool used = turn.outcome_ != Turn::Outcome::kUnused;
    const bool slow =
        used &&
        took >= (succeeded ? std::max<std::chrono::milliseconds>(slow_, kSlowSuccess) : slow_);
    // Who was not alone may have waited for another one.
    if (slow && turn.alone_) holdUps_.heldUp(turn.target_, took);
    if (succeeded && !slow) holdUps_.connected(turn.target_);
    std::lock_guard lock(mutex_);
    if (slow) {
        connectedBefore_.remove(toString(turn.target_));
    } else if (succeeded) {
        connectedBefore_.add(toString(turn.target_));
    }
}

}  // namespace mooncake::nvmeof_generic
