// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/signals.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

bool isPending() {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

TEST(NoBrokenPipe, TakesWhatIsRaisedMeanwhile) {
    {
        const NoBrokenPipe guard;
        pthread_kill(pthread_self(), SIGPIPE);
        EXPECT_TRUE(isPending());
    }
    EXPECT_FALSE(isPending());
}

// A program that blocks SIGPIPE and has not taken one yet keeps it.
TEST(NoBrokenPipe, LeavesTheProgramsOwn) {
    sigset_t pipe, before;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    {
        const NoBrokenPipe guard;
        pthread_kill(pthread_self(), SIGPIPE);
    }
    EXPECT_FALSE(isPending());
    pthread_kill(pthread_self(), SIGPIPE);
    { const NoBrokenPipe guard; }
    EXPECT_TRUE(isPending());
    int number = 0;
    sigwait(&pipe, &number);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
