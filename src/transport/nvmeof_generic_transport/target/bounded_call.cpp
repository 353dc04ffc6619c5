// SPDX-License-Identifier: Apache-2.0
#include "bounded_call.h"

#include <utility>

#include "transport/nvmeof_generic_transport/common/keep_library.h"

namespace mooncake::nvmeof_generic {

BoundedCall::BoundedCall(std::function<void()> work) {
    std::promise<void> ended;
    end_ = ended.get_future();
    thread_ = std::thread([work = std::move(work), ended = std::move(ended)]() mutable {
        work();
        work = nullptr;
        ended.set_value();
    });
}

BoundedCall::~BoundedCall() {
    if (endsWithin(std::chrono::milliseconds(0))) {
        thread_.join();
    } else {
        keepThisLibrary();
        thread_.detach();
    }
}

bool BoundedCall::endsWithin(std::chrono::milliseconds limit) {
    return end_.wait_for(limit) == std::future_status::ready;
}

bool endsWithin(std::chrono::milliseconds limit, std::function<void()> work) {
    return BoundedCall(std::move(work)).endsWithin(limit);
}

}  // namespace mooncake::nvmeof_generic
