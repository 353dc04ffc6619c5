// SPDX-License-Identifier: Apache-2.0
// A measurement, not a test: how long initiators are without a file server that is restarted.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "child_process.h"
#include "cluster.h"

namespace {

using namespace mooncake;
using namespace test_support;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// docs/failure-model.md has the figures: --gtest_also_run_disabled_tests
// --gtest_filter=*RestartTakes
TEST(Measure, DISABLED_RestartTakes) {
    for (const uint32_t count : {1u, 256u, 1024u}) {
        MetadataServer metadata;
        const std::string folder = testFolder() + "/n" + std::to_string(count);
        const std::string config = folder + "/file_server.conf";
        std::filesystem::create_directories(folder);
        {
            std::ofstream text(config);
            text << "segment = server\nmetadata = " << metadata.url()
                 << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n";
            for (uint32_t i = 0; i < count; ++i) {
                const std::string file = folder + "/f" + std::to_string(i);
                makeFile(file, 65536);
                text << "[file " << file << "]\nid = " << i + 1 << '\n';
            }
        }
        const std::string line = "serving " + std::to_string(count) + " of";
        const std::chrono::seconds limit{200};
        const std::vector<std::string> command{"transfer_engine_file_server", "--config=" + config};
        auto begin = Clock::now();
        auto server = std::make_unique<ChildProcess>(command);
        ASSERT_NE(server->waitForLine(line, limit), "") << server->output();
        const double first = since(begin);
        Node initiator(metadata, "initiator");
        const SegmentID segment = initiator.engine().openSegment("server");
        AlignedBuffer buffer(4096);
        begin = Clock::now();
        while (!initiator.read(segment, count, 0, buffer.data(), 4096) && since(begin) < 100) {
        }
        const double connected = since(begin);
        std::atomic<bool> stop{false};
        std::atomic<uint64_t> reads{0};
        double longest = 0;
        int failed = 0;
        std::thread reader([&] {
            AlignedBuffer mine(4096);
            for (auto last = Clock::now(); !stop;) {
                if (initiator.read(segment, count, 0, mine.data(), 4096)) {
                    longest = std::max(longest, since(last));
                    last = Clock::now();
                    ++reads;
                } else {
                    ++failed;
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
        });
        begin = Clock::now();
        server->signal(SIGTERM);
        EXPECT_EQ(server->wait(limit), 0);
        const double down = since(begin);
        begin = Clock::now();
        server = std::make_unique<ChildProcess>(command);
        ASSERT_NE(server->waitForLine(line, limit), "") << server->output();
        const double up = since(begin);
        const uint64_t seen = reads;
        while (reads < seen + 10 && since(begin) < 100) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        stop = true;
        reader.join();
        printf(
            "%u files: start %.1f s, first read %.1f s, stop %.1f s, start again %.1f s; the last "
            "file was away for %.1f s, %d reads failed\n",
            count, first, connected, down, up, longest, failed);
        fflush(stdout);
        server->signal(SIGTERM);
        server->wait(limit);
    }
}

}  // namespace
