// SPDX-License-Identifier: Apache-2.0
#include "flight.h"

namespace mooncake::store {

void Flight::prepare(size_t requests) {
    queue_.reserve(requests);
    queue_tags_.reserve(requests);
    single_.reserve(1);
    open_.reserve(requests);
    refused_.reserve(requests);
    tasks_ = 0;
    at_ = 0;
    batch_ = engine_.allocateBatchID(requests);
}

void Flight::add(const TransferRequest& request, uint32_t tag) noexcept {
    queue_.push_back(request);
    queue_tags_.push_back(tag);
}

// Whether the engine has made tasks of what was submitted last.
bool Flight::accepted(size_t first_task) noexcept {
    TransferStatus status{};
    return engine_.getTransferStatus(batch_, first_task, status).ok();
}

void Flight::opened(size_t from, size_t to) noexcept {
    for (size_t i = from; i < to; ++i) {
        open_.push_back({static_cast<uint32_t>(tasks_++), queue_tags_[i], queue_[i].length});
    }
}

void Flight::submit() noexcept {
    if (queue_.empty()) return;
    if (batch_ == Transport::INVALID_BATCH_ID) {
        refused_.insert(refused_.end(), queue_tags_.begin(), queue_tags_.end());
    } else if (engine_.submitTransfer(batch_, queue_).ok() || accepted(tasks_)) {
        opened(0, queue_.size());
    } else {
        for (size_t i = 0; i < queue_.size(); ++i) {
            single_.assign(1, queue_[i]);
            if (engine_.submitTransfer(batch_, single_).ok() || accepted(tasks_)) {
                opened(i, i + 1);
            } else {
                refused_.push_back(queue_tags_[i]);
            }
        }
    }
    queue_.clear();
    queue_tags_.clear();
}

bool Flight::hasEnded(const Request& request, bool* moved) noexcept {
    TransferStatus status{};
    // Where the engine does not answer, it is not this process's, and its requests are not either.
    if (!engine_.getTransferStatus(batch_, request.task, status).ok()) return true;
    *moved =
        status.s == TransferStatusEnum::COMPLETED && status.transferred_bytes == request.length;
    return status.s != TransferStatusEnum::WAITING && status.s != TransferStatusEnum::PENDING;
}

void Flight::finish() noexcept {
    if (batch_ != Transport::INVALID_BATCH_ID) (void)engine_.freeBatchID(batch_);
    batch_ = Transport::INVALID_BATCH_ID;
}

}  // namespace mooncake::store
