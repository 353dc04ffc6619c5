// SPDX-License-Identifier: Apache-2.0
// A thread for which there is no memory. A program of its own, since it has a say in who gets some.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include "memory_limit.h"
#include "thread_limit.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

// Longer than what fits into a string itself, or into a function.
const std::string kName = "a-name-that-takes-memory-of-its-own";
struct Large {
    char bytes[100] = {};
    void operator()() const {}
};

/// Starts a thread with memory for so many allocations, and joins it. @return how many were refused
int start(long allocations, int& error) {
    Result<std::thread> started = Error{0, {}};
    std::function<void()> body = Large{};
    bool thrown = false;
    const int refused = test_support::withMemoryFor(allocations, [&] {
        try {
            started = startThread(kName, std::move(body));
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
    });
    EXPECT_FALSE(thrown) << "after " << allocations << " allocations";
    error = started.ok() ? 0 : started.error().code;
    if (started.ok()) started.take().join();
    return refused;
}

TEST(StartThreadWithoutMemory, IsAnError) {
    int failures = 0;
    int error = 0;
    while (start(failures, error) > 0 && failures < 100) {
        EXPECT_EQ(error, ENOMEM) << "after " << failures << " allocations";
        ++failures;
    }
    EXPECT_EQ(error, 0);
    EXPECT_GT(failures, 1) << "this says nothing";
}

// Nor is there any memory for saying why there is no thread.
TEST(StartThreadWithoutMemory, IsAnErrorWithoutThreadsToo) {
    const test_support::ThreadLimit none(1, test_support::ThreadLimit::Fails::kAllFrom);
    int failures = 0;
    int error = 0;
    while (start(failures, error) > 0 && failures < 100) {
        EXPECT_TRUE(error == ENOMEM || error == EAGAIN) << error << " after " << failures;
        ++failures;
    }
    EXPECT_EQ(error, EAGAIN);
    EXPECT_GT(failures, 3) << "this says nothing";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
