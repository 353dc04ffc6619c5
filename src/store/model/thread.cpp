// SPDX-License-Identifier: Apache-2.0
#include "thread.h"

#include <pthread.h>

#include <new>
#include <system_error>
#include <utility>

#include "transport/nvmeof_generic_transport/common/signals_blocked.h"

namespace mooncake::store {

Result<std::thread> startThread(const std::string& name, std::function<void()> body) {
    const nvmeof_generic::SignalsBlocked blocked;  // inherited, from the first instruction on
    try {
        try {
            return std::thread([name, body = std::move(body)] {
                pthread_setname_np(pthread_self(), name.c_str());
                body();
            });
        } catch (const std::system_error& why) {
            return failed(Failure::kInternal,
                          "cannot start thread " + name + ": " + why.what() +
                              "; raise the limit of threads that is reached: pids.max of the "
                              "cgroup, ulimit -u, or kernel.threads-max");
        }
    } catch (const std::bad_alloc&) {
        return failed(Failure::kInternal, "out of memory");
    }
}

}  // namespace mooncake::store
