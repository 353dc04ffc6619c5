// SPDX-License-Identifier: Apache-2.0
#include "bench/shutdown_limit.h"

#include <unistd.h>

#include <cstdio>
#include <thread>

namespace mooncake::bench {

void limitShutdown(const Failure& failure, std::chrono::seconds limit) {
    std::thread([failure, limit] {
        std::this_thread::sleep_for(limit);
        std::fprintf(stderr, "%s\nThe engine did not shut down within %lld s; giving up on it\n",
                     failure.message.c_str(), static_cast<long long>(limit.count()));
        _exit(static_cast<int>(failure.code));
    }).detach();
}

}  // namespace mooncake::bench
