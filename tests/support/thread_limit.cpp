// SPDX-License-Identifier: Apache-2.0
#include "thread_limit.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

namespace {

// How many threads from now on the first failure is; 0: none.
std::atomic<int> countdown{0};
std::atomic<bool> all{false};
std::atomic<int> failed{0};

bool fails() {
    int left = countdown.load();
    while (left > 0) {
        const int next = left > 1 ? left - 1 : (all ? 1 : 0);
        if (!countdown.compare_exchange_weak(left, next)) continue;
        if (left > 1) return false;
        ++failed;
        return true;
    }
    return false;
}

}  // namespace

// Before the C library's own, for every library of the program.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) noexcept {
    using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    static const auto real = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
    return fails() ? EAGAIN : real(thread, attributes, body, argument);
}

namespace test_support {

ThreadLimit::ThreadLimit(int nth, Fails fails) {
    failed = 0;
    all = fails == Fails::kAllFrom;
    countdown = nth;
}

ThreadLimit::~ThreadLimit() {
    countdown = 0;
}

bool ThreadLimit::reached() const {
    return failed > 0;
}

}  // namespace test_support
