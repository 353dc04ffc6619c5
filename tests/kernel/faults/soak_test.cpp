// SPDX-License-Identifier: Apache-2.0
// 8 segments over 3 hosts under load, and one fault after the other.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include "faults_fixture.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

int numberFrom(const char* variable, int otherwise) {
    const char* text = getenv(variable);
    return text != nullptr ? atoi(text) : otherwise;
}

class Soak : public FaultTest {
 protected:
    static constexpr int kSegments = 8, kHosts = 3;

    void restart(TargetNode& segment) {
        segment.kill();
        segment.start();
    }
    void cutFor(Host& at, std::chrono::milliseconds time) {
        at.cut();
        std::this_thread::sleep_for(time);
        at.join();
    }
    size_t pick(size_t count) { return random() % count; }

    std::mt19937_64 random;
    std::vector<TargetNode*> segments;
};

// Nothing is lost, nothing is wrong, nothing is left, whatever the order of the faults.
// NVMEOF_TEST_SOAK_SECONDS: how long; NVMEOF_TEST_SOAK_SEED: which faults;
// NVMEOF_TEST_SOAK_PAUSE: seconds between two.
TEST_F(Soak, MixedFaults) {
    const int seconds = numberFrom("NVMEOF_TEST_SOAK_SECONDS", 20);
    const int pause = numberFrom("NVMEOF_TEST_SOAK_PAUSE", 1);
    seed = static_cast<uint64_t>(numberFrom("NVMEOF_TEST_SOAK_SEED", 1));
    random.seed(seed);
    printf("    seed %lu, %d s\n", seed, seconds);
    for (int i = 0; i < kSegments; ++i) {
        segments.push_back(&target(1 + i % kHosts, "soak" + std::to_string(i), 2));
        add(*segments.back(), i % 2 == 0 ? 0 : 3);
    }
    ASSERT_TRUE(load().healthy(120s));
    print("at the start");

    int added = 0;
    const std::vector<std::pair<const char*, std::function<void()>>> faults = {
        {"kill and restart", [&] { restart(*segments[pick(kSegments)]); }},
        {"short link loss", [&] { cutFor(host(1 + pick(kHosts)), 300ms); }},
        {"long link loss", [&] { cutFor(host(1 + pick(kHosts)), 6s); }},
        {"delay and loss",
         [&] {
             Host& at = host(1 + pick(kHosts));
             at.disturb("delay 4ms 2ms loss 1% reorder 10%");
             std::this_thread::sleep_for(2s);
             at.disturb("");
         }},
        {"controller deleted",
         [&] {
             const auto there = controllersAt(host(1 + pick(kHosts)).address());
             if (!there.empty()) deleteController(there[pick(there.size())]);
         }},
        {"namespace removed and added again",
         [&] {
             TargetNode& segment = *segments[pick(kSegments)];
             const std::string path = testFolder() + "/" + segment.name() + "1";
             segment.remove(path);
             segment.add(path);
         }},
        {"file added",
         [&] {
             if (added == 8) return;  // enough for hours
             TargetNode& segment = *segments[pick(kSegments)];
             const std::string path = makeTestFile("added" + std::to_string(added++));
             load().add(segment.name(), path, segment.add(path), kFileBytes);
         }},
    };
    std::vector<size_t> order;
    const auto end = Clock::now() + std::chrono::seconds(seconds);
    for (int round = 0; Clock::now() < end; ++round) {
        // Each of them once, in random order, before any comes again.
        if (order.empty()) {
            for (size_t i = 0; i < faults.size(); ++i) order.push_back(i);
            std::shuffle(order.begin(), order.end(), random);
        }
        const auto& [name, inject] = faults[order.back()];
        order.pop_back();
        inject();
        ASSERT_TRUE(load().healthy(120s)) << "after round " << round << ": " << name;
        print(name);
        if (HasFailure()) break;
        std::this_thread::sleep_for(std::chrono::seconds(pause));
    }
}

}  // namespace
