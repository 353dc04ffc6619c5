// SPDX-License-Identifier: Apache-2.0
// What processes of a machine tell each other of targets that held the kernel up.
#include "hold_ups.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "comma_locale.h"
#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
namespace fs = std::filesystem;

TransportAddress at(const std::string& host, const std::string& port = "4420") {
    return {"tcp", host.find(':') == host.npos ? "ipv4" : "ipv6", host, port};
}

class HoldUpsTest : public testing::Test {
 protected:
    FakeHost machine;
    milliseconds now = 100s;
    std::shared_ptr<RunFolder> folder = std::make_shared<RunFolder>(machine.options().runRoot);
    fs::path file = fs::path(machine.options().runRoot) / "nvmeof_generic/holdups";

    HoldUps process() { return process(folder); }
    HoldUps process(std::shared_ptr<const RunFolder> in) {
        return HoldUps(std::move(in), [this] { return now; });
    }
    std::string content() const {
        std::ifstream in(file);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const std::string& text) { std::ofstream(file, std::ios::trunc) << text; }
};

TEST_F(HoldUpsTest, NobodyIsSuspiciousWithoutACause) {
    auto one = process();
    one.connected(at("192.0.2.1"));
    EXPECT_FALSE(one.of(at("192.0.2.1")).suspicious);
    EXPECT_FALSE(fs::exists(file)) << "nothing to say";
}

TEST_F(HoldUpsTest, AHostIsSuspiciousForAllProcessesAndPorts) {
    auto one = process(), other = process();
    one.heldUp(at("192.0.2.1", "5000"), 60s);
    for (auto* process : {&one, &other}) {
        for (const char* port : {"5000", "5001"}) {
            const auto found = process->of(at("192.0.2.1", port));
            EXPECT_TRUE(found.suspicious);
            EXPECT_EQ(found.rest, 0ms) << "once can be an accident";
            EXPECT_NE(found.why.find("60.0 s, last with port 5000"), std::string::npos)
                << found.why;
        }
        EXPECT_TRUE(process->of(at("::ffff:192.0.2.1")).suspicious);
        EXPECT_FALSE(process->of(at("192.0.2.2", "5000")).suspicious);
    }
    one.heldUp(at("0:0::1"), 60s);
    EXPECT_TRUE(other.of(at("::1", "1")).suspicious);
    now += 59min;
    EXPECT_TRUE(other.of(at("192.0.2.1")).suspicious);
    now += 2min;
    EXPECT_FALSE(other.of(at("192.0.2.1")).suspicious);
}

// Each time with another port: the host rests, longer each time, and not for ever.
TEST_F(HoldUpsTest, WhoDoesItAgainRests) {
    auto one = process();
    milliseconds longest{0};
    for (int i = 0; i < 20; ++i) {
        one.heldUp(at("192.0.2.1", std::to_string(5000 + i)), 60s);
        const auto rest = process().of(at("192.0.2.1", "6000")).rest;
        EXPECT_EQ(rest, std::min<milliseconds>(60s * i, 5min));
        longest = std::max(longest, rest);
    }
    now += longest;
    EXPECT_EQ(one.of(at("192.0.2.1")).rest, 0ms);
    EXPECT_TRUE(one.of(at("192.0.2.1")).suspicious);
}

// A target of a bad host that works is as good as any, in every process, until it does it itself.
TEST_F(HoldUpsTest, AGoodTargetOfABadHostIsGood) {
    auto one = process();
    one.heldUp(at("192.0.2.1", "5000"), 60s);
    one.heldUp(at("192.0.2.1", "5001"), 60s);
    EXPECT_GT(one.of(at("192.0.2.1", "4420")).rest, 0ms);
    one.connected(at("192.0.2.1", "4420"));
    auto other = process();
    EXPECT_FALSE(other.of(at("192.0.2.1", "4420")).suspicious);
    EXPECT_TRUE(other.of(at("192.0.2.1", "4421")).suspicious);
    now += 1s;
    other.heldUp(at("192.0.2.1", "4420"), 60s);
    EXPECT_TRUE(one.of(at("192.0.2.1", "4420")).suspicious);
}

TEST_F(HoldUpsTest, WithoutAFolderAProcessRemembersByItself) {
    auto nowhere = std::make_shared<RunFolder>("/proc/nowhere");
    EXPECT_FALSE(nowhere->valid());
    auto one = process(nowhere);
    one.heldUp(at("192.0.2.1"), 60s);
    EXPECT_TRUE(one.of(at("192.0.2.1")).suspicious);
    EXPECT_FALSE(process(nowhere).of(at("192.0.2.1")).suspicious);
}

// Somebody else's folder, or one that others may write, is none.
TEST_F(HoldUpsTest, AFolderThatIsNotOursAloneIsNotUsed) {
    const auto run = machine.sys().parent_path() / "run2";
    fs::create_directories(run / "nvmeof_generic");
    for (const mode_t mode : {0777, 0755, 0710}) {
        ASSERT_EQ(chmod((run / "nvmeof_generic").c_str(), mode), 0);
        EXPECT_FALSE(RunFolder(run).valid()) << std::oct << mode;
    }
    ASSERT_EQ(chmod((run / "nvmeof_generic").c_str(), 0700), 0);
    EXPECT_TRUE(RunFolder(run).valid());
    fs::rename(run / "nvmeof_generic", run / "elsewhere");
    fs::create_symlink("elsewhere", run / "nvmeof_generic");
    EXPECT_FALSE(RunFolder(run).valid());
}

TEST_F(HoldUpsTest, ForgetsWithTheMachinesStartAndOtherVersions) {
    process().heldUp(at("192.0.2.1"), 60s);
    const std::string good = content();
    EXPECT_TRUE(process().of(at("192.0.2.1")).suspicious);
    std::string other = good;
    other.replace(other.find("hold-ups 1"), 10, "hold-ups 2");
    write(other);
    EXPECT_FALSE(process().of(at("192.0.2.1")).suspicious);
    other = good;
    other[other.find('\n') - 1] ^= 1;  // the boot id
    write(other);
    EXPECT_FALSE(process().of(at("192.0.2.1")).suspicious);
    write(good);
    EXPECT_TRUE(process().of(at("192.0.2.1")).suspicious);
}

// The clock that counts starts with the machine; what says it is from the future lies.
// Processes of other locales read and write the same file.
TEST_F(HoldUpsTest, IsTheSameInEveryLocale) {
    now = std::chrono::hours(1000);
    auto one = process();
    one.heldUp(at("192.0.2.1"), 61500ms);
    const std::string plain = content();
    const test_support::CommaLocale locale;
    ASSERT_TRUE(locale.complete());
    auto other = process();
    EXPECT_TRUE(other.of(at("192.0.2.1")).suspicious);
    fs::remove(file);
    auto third = process();
    third.heldUp(at("192.0.2.1"), 61500ms);
    EXPECT_EQ(content(), plain);
}

TEST_F(HoldUpsTest, DoesNotBelieveTheFuture) {
    process().heldUp(at("192.0.2.1"), 60s);
    now -= 50s;
    EXPECT_FALSE(process().of(at("192.0.2.1")).suspicious);
}

TEST_F(HoldUpsTest, SurvivesAnyContent) {
    auto writer = process();
    for (int i = 0; i < 20; ++i) writer.heldUp(at("192.0.2." + std::to_string(i + 1)), 60s);
    const std::string good = content();
    std::mt19937 random(1);
    const auto below = [&](size_t n) { return random() % n; };
    for (int round = 0; round < 500; ++round) {
        std::string bad = good;
        for (size_t changes = 1 + below(8); changes-- > 0 && !bad.empty();) {
            const size_t place = below(bad.size());
            switch (below(4)) {
                case 0:
                    bad[place] = static_cast<char>(below(256));
                    break;
                case 1:
                    bad.resize(place);
                    break;
                case 2:
                    bad.insert(place, bad.substr(below(bad.size()), below(60)));
                    break;
                default:
                    bad.erase(place, below(60));
            }
        }
        write(bad);
        auto one = process();
        EXPECT_LE(one.of(at("192.0.2.1")).rest, 5min);
        EXPECT_FALSE(one.of(at("198.51.100.77")).suspicious);
    }
    write(good.substr(0, good.find('\n') + 1) + std::string(10 << 20, 'x'));
    EXPECT_FALSE(process().of(at("192.0.2.1")).suspicious) << "too large";
    fs::remove(file);
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
    EXPECT_FALSE(process().of(at("192.0.2.1")).suspicious) << "no file";
    process().heldUp(at("192.0.2.1"), 60s);
    EXPECT_TRUE(process().of(at("192.0.2.1")).suspicious) << "it was replaced";
}

TEST_F(HoldUpsTest, KnowsABoundedNumber) {
    auto one = process();
    for (int i = 0; i < 600; ++i) {
        now += 1ms;
        one.heldUp(at("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256)), 60s);
    }
    EXPECT_LT(content().size(), 64u << 10);
    EXPECT_TRUE(process().of(at("10.0.2.87")).suspicious) << "the last one";
    EXPECT_FALSE(process().of(at("10.0.0.0")).suspicious) << "the first one";
}

TEST_F(HoldUpsTest, ManyProcessesLoseNothing) {
    std::vector<std::thread> all;
    for (int i = 0; i < 8; ++i) {
        all.emplace_back([&, i] {
            auto one = HoldUps(
                folder, [] { return milliseconds(100s); }, 10min);
            for (int j = 0; j < 8; ++j) {
                one.heldUp(at("10.0." + std::to_string(i) + "." + std::to_string(j)), 60s);
            }
        });
    }
    for (auto& thread : all) thread.join();
    auto reader = process();
    for (int i = 0; i < 64; ++i) {
        const auto host = "10.0." + std::to_string(i / 8) + "." + std::to_string(i % 8);
        EXPECT_TRUE(reader.of(at(host)).suspicious) << host;
    }
}

// A process that was killed while it wrote.
TEST_F(HoldUpsTest, WhatAKilledOneLeftIsNoObstacle) {
    const auto making = fs::path(file.string() + ".new");
    std::ofstream(making) << "half";
    process().heldUp(at("192.0.2.1"), 60s);
    EXPECT_TRUE(process().of(at("192.0.2.1")).suspicious);
    EXPECT_FALSE(fs::exists(making));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
