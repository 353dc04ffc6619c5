// SPDX-License-Identifier: Apache-2.0
#include "process.h"

#include <pthread.h>

#include "unlocked.h"

namespace mooncake::python {
namespace {

unsigned number = 0;

}  // namespace

unsigned processNumber() {
    return number;
}

void watchForks() {
    pthread_atfork(nullptr, nullptr, [] {
        ++number;
        Unlocked::forget();
    });
}

}  // namespace mooncake::python
