// SPDX-License-Identifier: Apache-2.0
// A node in a process of its own, for tests that kill or stop it.
//
//   store_child <directory> <lease in ms> <file to mount, or ""> <node to put to, or ""> <prefix>
//
// It joins, mounts the file and says "ready". Then it puts <prefix>0, <prefix>1, ..., of 200000
// bytes, and says "put <n>" after each; one that cannot be put is "failed <n> <code>", and tried
// again.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "nodes.h"

using namespace mooncake;
using namespace mooncake::test;

int main(int, char** arguments) {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    ClientOptions options = shortLived(nodeOptions(arguments[1], "child"));
    options.lease = std::chrono::milliseconds(std::atoi(arguments[2]));
    options.timeout = std::chrono::seconds(10);
    const std::string file = arguments[3];
    const std::string prefix = arguments[5];
    ReplicateConfig config;
    config.preferred_segment = arguments[4];
    const auto client = Client::Create(options);
    if (!client || (!file.empty() && !(*client)->MountFileSegment(file))) {
        std::printf("error %s\n", Client::LastError().c_str());
        return 1;
    }
    std::printf("ready\n");
    for (int i = 0;;) {
        const ErrorCode code = put(**client, prefix + std::to_string(i), kChildBytes, config);
        if (code == ErrorCode::OK) {
            std::printf("put %d\n", i++);
        } else {
            std::printf("failed %d %d\n", i, toInt(code));
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }
}
