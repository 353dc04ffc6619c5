// SPDX-License-Identifier: Apache-2.0
// A program that keeps 32 reads under way with one thread and only asks for their state. Prints
// what fio would. Arguments: bytes of a read, file.
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>

#include "nodes.h"

namespace mooncake::probe {

void pollOnly(const Arguments& arguments) {
    if (arguments.further.size() != 2) fail("poll-only takes the bytes of a read and a file");
    const size_t bytes = std::stoul(arguments.further[0]);
    const std::string& path = arguments.further[1];
    Target target(std::vector<std::string>{});
    FileBufferID file = 0;
    const uint64_t size = std::filesystem::file_size(path);
    if (target.engine.registerLocalFile(path, size, file) != 0) fail("registering " + path);
    Initiator initiator;
    const SegmentHandle segment = initiator.open(target.name);
    std::vector<std::unique_ptr<Read>> window;
    std::mt19937_64 random(1);
    const auto next = [&] { return random() % (size / bytes) * bytes; };
    for (int i = 0; i < 32; ++i) {
        window.push_back(std::make_unique<Read>(initiator.engine, segment, file, bytes));
        window.back()->run(next());
    }
    for (const auto& read : window) read->begin(next());
    uint64_t count = 0;
    const auto readFor = [&](std::chrono::milliseconds time) {
        count = 0;
        const auto begun = Clock::now();
        while (Clock::now() < begun + time) {
            for (const auto& read : window) {
                if (!read->ended()) continue;
                ++count;
                read->begin(next());
            }
        }
        return std::chrono::duration<double>(Clock::now() - begun).count();
    };
    readFor(std::chrono::milliseconds(300));
    const double cpu = processCpu();
    const double seconds = readFor(arguments.time);
    const double used = processCpu() - cpu;
    for (const auto& read : window) read->finish();
    std::cout << R"({"jobs":[{"usr_cpu":)" << used / seconds * 100
              << R"(,"sys_cpu":0,"read":{"bw_bytes":)"
              << static_cast<uint64_t>(static_cast<double>(count * bytes) / seconds) << "}}]}"
              << std::endl;
}

}  // namespace mooncake::probe
