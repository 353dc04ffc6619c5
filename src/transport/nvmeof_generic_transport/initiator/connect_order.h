// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Who is next to connect. The kernel makes one connection of the machine at a time and holds all
/// others up meanwhile, 10 s and more for a target that falls silent in the middle. So the best
/// known go first: targets that were connected to before, then those that answered a probe, then
/// those that cannot be asked, and in the end those that held the kernel up the last time; within
/// each of these, who came first. Thread-safe.
class ConnectOrder {
 public:
    using Clock = std::chrono::steady_clock;

    /// The right to connect now, which ends with the object.
    class Turn {
     public:
        Turn(ConnectOrder& order, std::string target);
        Turn(Turn&& other) noexcept;
        Turn& operator=(Turn&&) = delete;
        /// Without succeeded(): the connect failed, and a slow failure is remembered.
        ~Turn();
        void succeeded() { succeeded_ = true; }

     private:
        ConnectOrder* order_;
        std::string target_;
        Clock::time_point since_ = Clock::now();
        bool succeeded_ = false;
    };

    /// @param slow  a failed connect that took as long has held others up
    explicit ConnectOrder(std::chrono::milliseconds slow = std::chrono::seconds(1));

    /// Waits until nobody else connects and nobody better is waiting.
    /// @param target  its address as text
    /// @param answered  whether it has answered a probe just now
    /// @return ETIMEDOUT at the deadline, ECANCELED when stopped
    Result<Turn> enter(const std::string& target, bool answered, Clock::time_point deadline,
                       const std::stop_token& stop);

    /// How many wait at the moment.
    size_t waiting() const;

 private:
    enum class Standing : uint8_t { kConnectedBefore, kAnswered, kUnknown, kHeldUp };
    using Queue = std::list<const std::string*>;

    Standing standing(const std::string& target, bool answered) const;
    void leave(const std::string& target, bool succeeded, Clock::duration took);

    const Clock::duration slow_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    bool busy_ = false;
    std::map<Standing, Queue> queues_;
    std::map<std::string, Standing> known_;  // kConnectedBefore or kHeldUp
};

}  // namespace mooncake::nvmeof_generic
