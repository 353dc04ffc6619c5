// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <string>

namespace mooncake::nvmeof_generic {
namespace {

sigset_t maskNow() {
    sigset_t mask;
    sigemptyset(&mask);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &mask), 0);
    return mask;
}

// A program's handler must not run on a thread of a library.
TEST(StartThread, SignalsAreForTheProgram) {
    const sigset_t before = maskNow();
    sigset_t inside{};
    auto started = startThread("test-thread", [&] { inside = maskNow(); });
    ASSERT_TRUE(started.ok()) << started.error().message;
    started.take().join();
    const sigset_t after = maskNow();
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGUSR1, SIGCHLD, SIGPIPE}) {
        EXPECT_EQ(sigismember(&inside, signal), 1) << signal;
        EXPECT_EQ(sigismember(&after, signal), sigismember(&before, signal)) << signal;
    }
}

TEST(StartThread, HasItsName) {
    std::string name(16, '\0');
    auto started = startThread(
        "test-thread", [&] { pthread_getname_np(pthread_self(), name.data(), name.size()); });
    ASSERT_TRUE(started.ok()) << started.error().message;
    started.take().join();
    EXPECT_EQ(name.c_str(), std::string("test-thread"));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
