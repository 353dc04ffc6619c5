// SPDX-License-Identifier: Apache-2.0
// A client in a process of its own, for tests that kill or stop it.
//
//   store_directory_client <directory> <lease in ms> <prefix> <keys>
//
// It joins, mounts a file of its own, takes a region and says "region <file> <region> <client>".
// Then it puts <prefix>0, <prefix>1, ... each at its own offset, and says "put <n>" after each.
// When one cannot be put, it says why, "lost <n>" or "failed <n>", and ends. With as many as
// <keys>, it says "all" and waits.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "directory.h"
#include "entries.h"

using namespace mooncake::store;

namespace {

Deadline soon() {
    return std::chrono::steady_clock::now() + std::chrono::seconds(60);
}

template <class T>
T need(Result<T> result) {
    if (result) return std::move(*result);
    std::printf("error %s\n", result.error().message.c_str());
    std::_Exit(1);
}

}  // namespace

int main(int, char** arguments) {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    DirectoryOptions options;
    options.lease = std::chrono::milliseconds(std::atoi(arguments[2]));
    const std::string prefix = arguments[3];
    const int keys = std::atoi(arguments[4]);
    const auto directory = need(Directory::open(arguments[1], options, soon()));
    const ClientId client = need(directory->join("child", soon()));
    FileDescription description;
    description.uuid = Uuid::random();
    description.regions = 32;
    description.region_size = 4 << 20;
    description.size = 128 << 20;
    const FileNumber file = need(directory->addFile(description, soon())).number;
    if (!directory->mountFile(file, {0, "child", "child:1", 1, "/dev/x"}, soon())) return 1;
    const Region region = need(directory->takeRegion(file, soon()));
    std::printf("region %u %u %llu\n", file, region.id.index,
                static_cast<unsigned long long>(client));
    for (int i = 0; i < keys; ++i) {
        const auto outcomes = directory->commit(
            {{prefix + std::to_string(i),
              makeEntry(file, region.id.index, region.generation, uint64_t(i) * 4096, 4096)}},
            soon());
        if (!outcomes || outcomes->at(0) != ChangeOutcome::kDone) {
            const bool lost = outcomes ? outcomes->at(0) == ChangeOutcome::kRegionLost
                                       : outcomes.error().failure == Failure::kLeaseLost;
            std::printf("%s %d\n", lost ? "lost" : "failed", i);
            std::_Exit(0);
        }
        std::printf("put %d\n", i);
    }
    std::printf("all\n");
    pause();
}
