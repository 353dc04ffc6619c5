// SPDX-License-Identifier: Apache-2.0
#include "request_end.h"

namespace mooncake::nvmeof_generic::io {

void RequestEnd::endPiece(Device& device, Request* request, int error, uint64_t moved) {
    while (request->endPiece(error, moved)) {
        Request* const parent = request->retry ? static_cast<Request*>(request->context) : nullptr;
        if (parent == nullptr) {
            tell(device.listener(), *request);
        } else {
            error = request->error();
            moved = request->moved.load(std::memory_order_relaxed);
            if (request->write) parent->noteWritten();
        }
        Channel& home = channels_.at(request->channel);
        home.memory().free(request, &home == mine_);
        if (parent == nullptr) {
            ++ended_;
            &home == mine_ ? home.noteEndedHere() : home.noteEndedElsewhere(aio_);
            return;
        }
        request = parent;
    }
}

Request* RequestEnd::allocate() {
    if (mine_ == nullptr) return channels_.allocateCommon();
    Request* const request = mine_->memory().allocateRequest();
    if (request != nullptr) request->channel = mine_->number();
    return request;
}

void RequestEnd::tell(IoListener& listener, const Request& request) {
    if (request.canBeReturned()) {
        listener.onIoReturned(
            {request.op(), request.buffer, request.offset, request.length, request.context});
    } else {
        listener.onIoDone(request.context, request.error(),
                          request.moved.load(std::memory_order_relaxed));
    }
}

}  // namespace mooncake::nvmeof_generic::io
