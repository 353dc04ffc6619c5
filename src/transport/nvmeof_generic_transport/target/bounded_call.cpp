// SPDX-License-Identifier: Apache-2.0
#include "bounded_call.h"

#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "keep_library.h"

namespace mooncake::nvmeof_generic {

bool endsWithin(std::chrono::milliseconds limit, std::function<void()> work) {
    auto ended = std::make_shared<std::promise<void>>();
    auto future = ended->get_future();
    std::thread thread([ended, work = std::move(work)]() mutable {
        work();
        work = nullptr;
        ended->set_value();
    });
    if (future.wait_for(limit) == std::future_status::ready) {
        thread.join();
        return true;
    }
    keepThisLibrary();
    thread.detach();
    return false;
}

}  // namespace mooncake::nvmeof_generic
