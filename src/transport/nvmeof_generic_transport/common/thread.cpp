// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/thread.h"

#include <pthread.h>

#include <new>
#include <system_error>
#include <utility>

#include "transport/nvmeof_generic_transport/common/signals_blocked.h"

namespace mooncake::nvmeof_generic {

Result<std::thread> startThread(const std::string& name, std::function<void()> body) {
    const SignalsBlocked blocked;  // the new thread has them blocked from its first instruction
    try {
        try {
            return std::thread([name, body = std::move(body)]() mutable {
                pthread_setname_np(pthread_self(), name.c_str());
                body();
            });
        } catch (const std::system_error& failure) {
            return makeError(failure.code().value(), "cannot start thread " + name,
                             "raise the limit of threads that is reached: pids.max of the cgroup "
                             "(TasksMax of a systemd unit, --pids-limit of a container), ulimit "
                             "-u, or kernel.threads-max");
        }
    } catch (const std::bad_alloc&) {
        return outOfMemory("cannot start thread", name);
    }
}

}  // namespace mooncake::nvmeof_generic
