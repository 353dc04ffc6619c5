// SPDX-License-Identifier: Apache-2.0
#include "thread.h"

#include <pthread.h>
#include <signal.h>

#include <new>
#include <system_error>
#include <utility>

namespace mooncake::store {

namespace {

// A new thread inherits what is blocked, from its first instruction.
class SignalsBlocked {
 public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
    sigset_t before_;
};

}  // namespace

Result<std::thread> startThread(const std::string& name, std::function<void()> body) {
    const SignalsBlocked blocked;
    try {
        return std::thread([name, body = std::move(body)] {
            pthread_setname_np(pthread_self(), name.c_str());
            body();
        });
    } catch (const std::bad_alloc&) {
        return failed(Failure::kInternal, "out of memory");
    } catch (const std::system_error& why) {
        return failed(Failure::kInternal,
                      "cannot start thread " + name + ": " + why.what() +
                          "; raise the limit of threads that is reached: pids.max of the cgroup, "
                          "ulimit -u, or kernel.threads-max");
    }
}

}  // namespace mooncake::store
