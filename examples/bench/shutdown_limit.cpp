// SPDX-License-Identifier: Apache-2.0
#include "bench/shutdown_limit.h"

#include <unistd.h>

#include <cstdio>
#include <system_error>
#include <thread>

namespace mooncake::bench {

void limitShutdown(const Failure& failure, std::chrono::seconds limit) {
    try {
        std::thread([failure, limit] {
            std::this_thread::sleep_for(limit);
            std::fprintf(stderr,
                         "%s\nThe engine did not shut down within %lld s; giving up on it\n",
                         failure.message.c_str(), static_cast<long long>(limit.count()));
            _exit(static_cast<int>(failure.code));
        }).detach();
    } catch (const std::system_error& error) {
        // The failure is what counts, and it is reported all the same.
        std::fprintf(stderr, "The engine's shutdown has no limit: no thread: %s\n", error.what());
    }
}

}  // namespace mooncake::bench
