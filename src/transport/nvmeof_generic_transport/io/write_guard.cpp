// SPDX-License-Identifier: Apache-2.0
#include "write_guard.h"

#include <utility>

namespace mooncake::nvmeof_generic::io {

bool WriteGuard::begin(Operation& write, Waiter* waiter) {
    const MutexLock lock(mutex_);
    if (isInTheWay(write)) {
        if (waiter != nullptr && !std::exchange(waiter->waiting_, true)) {
            waiter->next_ = std::exchange(waiters_, waiter);
        }
        return false;
    }
    write.previousWrite = nullptr;
    write.nextWrite = writes_;
    if (writes_ != nullptr) writes_->previousWrite = &write;
    writes_ = &write;
    if (write.kind == OperationKind::kMerge) ++merges_;
    return true;
}

void WriteGuard::end(Operation& write) {
    Waiter* told = nullptr;
    {
        const MutexLock lock(mutex_);
        (write.previousWrite != nullptr ? write.previousWrite->nextWrite : writes_) =
            write.nextWrite;
        if (write.nextWrite != nullptr) write.nextWrite->previousWrite = write.previousWrite;
        if (write.kind == OperationKind::kMerge) --merges_;
        told = std::exchange(waiters_, nullptr);
        for (Waiter* each = told; each != nullptr; each = each->next_) each->waiting_ = false;
    }
    while (told != nullptr) {
        // Once told it may wait again, or be gone.
        Waiter* const each = std::exchange(told, told->next_);
        each->writeEnded();
    }
}

bool WriteGuard::forget(Waiter& waiter) {
    const MutexLock lock(mutex_);
    if (!waiter.waiting_) return false;
    Waiter** link = &waiters_;
    while (*link != &waiter) link = &(*link)->next_;
    *link = waiter.next_;
    waiter.waiting_ = false;
    return true;
}

bool WriteGuard::isInTheWay(const Operation& write) const {
    const bool merge = write.kind == OperationKind::kMerge;
    if (!merge && merges_ == 0) return false;
    for (const Operation* each = writes_; each != nullptr; each = each->nextWrite) {
        if ((merge || each->kind == OperationKind::kMerge) && each->overlaps(write)) return true;
    }
    return false;
}

}  // namespace mooncake::nvmeof_generic::io
