// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "hold_ups.h"
#include "machine_turn.h"
#include "run_folder.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// The targets that were used last, a bounded number of them. For one thread at a time.
class LastUsed {
 public:
    explicit LastUsed(size_t most) : most_(most) {}
    void add(const std::string& target);
    void remove(const std::string& target);
    bool contains(const std::string& target) const { return places_.contains(target); }

 private:
    const size_t most_;
    std::list<std::string> order_;  // the last one first
    std::unordered_map<std::string, std::list<std::string>::iterator> places_;
};

/// Who is next to connect. The kernel makes one connection of the machine at a time and holds all
/// others up meanwhile, 60 s for a target that falls silent in the middle. So the best known go
/// first: targets that were connected to before, then those that went through a probe, then those
/// that cannot be asked, and in the end those whose host held the kernel up; within each of these,
/// who came first. Other processes of the machine are waited for as MachineTurn says. A host that
/// held the kernel up more than once rests before it may do so again. Thread-safe.
class ConnectOrder {
 public:
    using Clock = std::chrono::steady_clock;

    /// The right to connect now, which ends with the object.
    class Turn {
     public:
        Turn(ConnectOrder& order, TransportAddress target, bool alone);
        Turn(Turn&& other) noexcept;
        Turn& operator=(Turn&&) = delete;
        /// Without succeeded(): the connect failed, and a slow failure is remembered.
        ~Turn();
        void succeeded() { outcome_ = Outcome::kSucceeded; }
        /// The kernel is asked from now on: how long that takes counts.
        void begin() {
            since_ = Clock::now();
            outcome_ = Outcome::kFailed;
        }
        /// The kernel was not asked: nothing is learnt from how long it took.
        void unused() { outcome_ = Outcome::kUnused; }

     private:
        friend class ConnectOrder;
        enum class Outcome : uint8_t { kFailed, kSucceeded, kUnused };

        ConnectOrder* order_;
        TransportAddress target_;
        bool alone_;  // in the kernel, as far as we know
        Clock::time_point since_ = Clock::now();
        Outcome outcome_ = Outcome::kFailed;
    };

    /// @param slow  a connect that failed after as long has held others up
    explicit ConnectOrder(std::shared_ptr<const RunFolder> folder,
                          std::chrono::milliseconds slow = std::chrono::seconds(3));

    /// Waits until nobody else connects and nobody better is waiting.
    /// @param answered  whether the target went through a probe just now
    /// @return ETIMEDOUT at the deadline, and at once while the target's host rests; ECANCELED when
    /// stopped
    Result<Turn> enter(const TransportAddress& target, bool answered, Clock::time_point deadline,
                       const std::stop_token& stop);

    /// How many wait at the moment.
    size_t waiting() const;

 private:
    enum class Standing : uint8_t { kConnectedBefore, kAnswered, kUnknown, kHeldUp };
    using Queue = std::list<const TransportAddress*>;

    bool isNext(Standing standing, Queue::iterator place);
    bool goodWaits() const;
    std::optional<bool> waitForTurn(std::unique_lock<std::mutex>& lock, Standing mine,
                                    const TransportAddress& target, Clock::time_point deadline,
                                    const std::stop_token& stop);
    void leave(const Turn& turn) noexcept;
    void learn(const Turn& turn);

    const std::chrono::milliseconds slow_;
    HoldUps holdUps_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    MachineTurn machine_;
    bool busy_ = false;
    std::map<Standing, Queue> queues_;
    LastUsed connectedBefore_;
};

}  // namespace mooncake::nvmeof_generic
