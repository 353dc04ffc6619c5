// SPDX-License-Identifier: Apache-2.0
// Requests that are on their way: one batch of the engine, filled bit by bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "transfer_engine.h"

namespace mooncake::store {

// Used by one thread. After prepare() nothing throws. Its memory serves one use after the other.
class Flight {
 public:
    explicit Flight(TransferEngine& engine) : engine_(engine) {}
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    // Makes room for so many requests in all. Throws std::bad_alloc.
    void prepare(size_t requests);

    // Adds a request, which goes out with the next submit().
    void add(const TransferRequest& request, uint32_t tag) noexcept;
    // An error that the engine gives for the whole call, such as one segment that is not open,
    // costs only the requests that have it.
    void submit() noexcept;

    // Requests that were added and of which poll() has not told the end.
    size_t pending() const { return queue_.size() + open_.size() + refused_.size(); }

    // Calls ended(tag, whether every byte moved) for requests that have ended. Looks at all that
    // are open if need be, and at some only where others have ended.
    // @return whether there was one
    template <class Ended>
    bool poll(const Ended& ended) noexcept {
        bool any = false;
        while (!refused_.empty()) {
            const uint32_t tag = refused_.back();
            refused_.pop_back();
            ended(tag, false);
            any = true;
        }
        // They end in about the order in which they were submitted.
        size_t waiting = 0;
        while (!open_.empty() && waiting < (any ? kEnoughWaiting : open_.size())) {
            if (at_ >= open_.size()) at_ = 0;
            const Request request = open_[at_];
            bool moved = false;
            if (!hasEnded(request, &moved)) {
                ++at_;
                ++waiting;
                continue;
            }
            open_.erase(open_.begin() + static_cast<ptrdiff_t>(at_));
            ended(request.tag, moved);
            any = true;
        }
        return any;
    }

    // Gives the batch back. Nothing may be pending.
    void finish() noexcept;

 private:
    static constexpr size_t kEnoughWaiting = 16;

    struct Request {
        uint32_t task;
        uint32_t tag;
        uint64_t length;
    };

    bool hasEnded(const Request& request, bool* moved) noexcept;
    bool accepted(size_t first_task) noexcept;
    void opened(size_t from, size_t to) noexcept;

    TransferEngine& engine_;
    BatchID batch_ = Transport::INVALID_BATCH_ID;
    size_t tasks_ = 0;                    // of the batch
    std::vector<TransferRequest> queue_;  // what submit() takes
    std::vector<uint32_t> queue_tags_;
    std::vector<TransferRequest> single_;
    std::vector<Request> open_;
    size_t at_ = 0;  // where poll() goes on
    std::vector<uint32_t> refused_;
};

}  // namespace mooncake::store
