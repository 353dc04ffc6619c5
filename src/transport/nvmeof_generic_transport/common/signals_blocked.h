// SPDX-License-Identifier: Apache-2.0
// For threads of a library: signals are for the threads of the program.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace mooncake::nvmeof_generic {

/// Keeps all signals from the calling thread during its life; those that come meanwhile are taken
/// after that, or by another thread.
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

}  // namespace mooncake::nvmeof_generic
