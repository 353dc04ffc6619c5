// SPDX-License-Identifier: Apache-2.0
// A measurement, not a test: how long initiators are without a file server that is restarted.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "child_process.h"
#include "cluster.h"

namespace {

using namespace mooncake;
using namespace test_support;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::chrono::seconds kLimit{200};

// A file server with so many files, and how long an initiator is without the last one.
class Service {
 public:
    explicit Service(uint32_t count)
        : count_(count),
          folder_(testFolder() + "/n" + std::to_string(count)),
          config_(folder_ + "/file_server.conf") {
        std::filesystem::create_directories(folder_);
        std::ofstream text(config_);
        text << "segment = server\nmetadata = " << metadata_.url()
             << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n";
        for (uint32_t i = 0; i < count; ++i) {
            const std::string file = folder_ + "/f" + std::to_string(i);
            makeFile(file, 65536);
            text << "[file " << file << "]\nid = " << i + 1 << '\n';
        }
    }

    // Until it serves.
    std::unique_ptr<ChildProcess> start(bool takeover = false) {
        std::vector<std::string> command{"transfer_engine_file_server", "--config=" + config_};
        if (takeover) command.push_back("--takeover");
        auto server = std::make_unique<ChildProcess>(command);
        EXPECT_NE(server->waitForLine("serving " + std::to_string(count_) + " of", kLimit), "")
            << server->output();
        return server;
    }
    // `restart` is given the server, and leaves the new one in its place.
    void measure(const char* what,
                 const std::function<void(std::unique_ptr<ChildProcess>&)>& restart) {
        auto begin = Clock::now();
        auto server = start();
        const double first = since(begin);
        Node initiator(metadata_, "initiator");
        const SegmentID segment = initiator.engine().openSegment("server");
        AlignedBuffer buffer(4096);
        begin = Clock::now();
        while (!initiator.read(segment, count_, 0, buffer.data(), 4096) && since(begin) < 100) {
        }
        const double connected = since(begin);
        std::atomic<bool> stop{false};
        std::atomic<uint64_t> reads{0};
        double longest = 0;
        int failed = 0;
        std::thread reader([&] {
            AlignedBuffer mine(4096);
            for (auto last = Clock::now(); !stop;) {
                if (initiator.read(segment, count_, 0, mine.data(), 4096)) {
                    longest = std::max(longest, since(last));
                    last = Clock::now();
                    ++reads;
                } else {
                    ++failed;
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
        });
        printf("%u files, %s: start %.1f s, first read %.1f s", count_, what, first, connected);
        begin = Clock::now();
        restart(server);
        // What was read from the old one while the new one started does not count.
        const uint64_t seen = reads;
        while (reads < seen + 10 && since(begin) < 150) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        stop = true;
        reader.join();
        printf("; the last file was away for %.1f s, %d reads failed\n", longest, failed);
        fflush(stdout);
        server->signal(SIGTERM);
        server->wait(kLimit);
    }

 private:
    const uint32_t count_;
    MetadataServer metadata_;
    const std::string folder_;
    const std::string config_;
};

void stop(ChildProcess& server) {
    const auto begin = Clock::now();
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(kLimit), 0);
    printf(", stop %.1f s", since(begin));
}

std::vector<uint32_t> countsOfFiles() {
    if (const char* one = getenv("NVMEOF_TEST_FILES")) return {static_cast<uint32_t>(atoi(one))};
    return {1, 256, 1024};
}

// docs/failure-model.md has the figures: --gtest_also_run_disabled_tests
// --gtest_filter=*RestartTakes; NVMEOF_TEST_FILES: one number of files only.
TEST(Measure, DISABLED_RestartTakes) {
    for (const uint32_t count : countsOfFiles()) {
        Service service(count);
        service.measure("one after the other", [&](std::unique_ptr<ChildProcess>& server) {
            stop(*server);
            const auto begin = Clock::now();
            server = service.start();
            printf(", start again %.1f s", since(begin));
        });
        service.measure("the new one first", [&](std::unique_ptr<ChildProcess>& server) {
            const auto begin = Clock::now();
            auto next = service.start(true);
            printf(", start again %.1f s", since(begin));
            stop(*server);
            server = std::move(next);
        });
    }
}

}  // namespace
