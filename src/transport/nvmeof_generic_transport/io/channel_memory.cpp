// SPDX-License-Identifier: Apache-2.0
#include "channel_memory.h"

#include <new>

namespace mooncake::nvmeof_generic::io {

ChannelMemory::~ChannelMemory() {
    release();
}

void ChannelMemory::release() {
    trimRequests();
    collectOperations();
    while (operations_ != nullptr) delete std::exchange(operations_, operations_->next);
    operationCount_ = 0;
}

void ChannelMemory::collectRequests() {
    for (Request* each = returnedRequests_.takeAll(); each != nullptr;) {
        requests_.free(std::exchange(each, each->next));
    }
}

void ChannelMemory::collectOperations() {
    for (Operation* each = returnedOperations_.takeAll(); each != nullptr;) {
        keep(std::exchange(each, each->next));
    }
}

void ChannelMemory::trimRequests() {
    collectRequests();
    requests_.trim();
}

void ChannelMemory::keep(Operation* operation) {
    if (operationCount_ >= kKeptOperations) {
        delete operation;
        return;
    }
    operation->next = operations_;
    operations_ = operation;
    ++operationCount_;
}

Operation* ChannelMemory::newOperation() {
    return new (std::nothrow) Operation;
}

}  // namespace mooncake::nvmeof_generic::io
