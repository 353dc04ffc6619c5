// SPDX-License-Identifier: Apache-2.0
#include "dhchap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "dhchap_target.h"
#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;
using Bytes = DhchapHost::Bytes;

// One for each hash that a key may name, 00 to 03, and another one.
const std::string kKeys[] = {
    "DHHC-1:00:JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2:",
    "DHHC-1:01:SlVga3aBjJeirbjDztnk7/oFEBsmMTxHUl1oc36JlJ9Udcmo:",
    "DHHC-1:02:b3qFkJumsbzH0t3o8/4JFB8qNUBLVmFsd4KNmKOuucTP2uXw+wYRHCcyPUhTXml0QnvTEQ==:",
    "DHHC-1:03:lJ+qtcDL1uHs9wINGCMuOURPWmVwe4aRnKeyvcjT3un0/woVICs2QUxXYm14g46ZpK+6xdDb5vH8BxIdKDM+"
    "SRBwewA=:"};
const std::string& kOtherKey = kKeys[1];

// A host with its keys.
struct Host {
    explicit Host(const std::string& key, const std::string& controllerKey = "")
        : host(key), controller(controllerKey) {}
    DhchapHost side(const std::string& name = kHostNqn, const std::string& subsystem = kNqn) const {
        return {name, subsystem, {&host, controller.empty() ? nullptr : &controller}};
    }
    const Secret host;
    const Secret controller;
};

Error errorOf(const Result<>& result) {
    return result.ok() ? Error{0, {}} : result.error();
}

Result<> authenticate(DhchapHost& host, DhchapTarget& target) {
    target.send(DhchapHost::negotiate());
    const auto reply = host.reply(target.receive(DhchapHost::kMessageBytes));
    if (!reply.ok()) return reply.error();
    target.send(reply.value());
    auto judged = host.judge(target.receive(DhchapHost::kMessageBytes));
    if (!host.last().empty()) target.send(host.last());
    return judged;
}

// As drivers/nvme/host/auth.c lays it out.
TEST(Dhchap, OffersWhatTheKernelOffers) {
    Bytes expected(72);
    expected[4] = 1;                                      // the transaction
    expected[7] = 1;                                      // one protocol
    expected[8] = 1, expected[10] = 3, expected[11] = 6;  // DH-HMAC-CHAP, how many of each
    for (uint8_t i = 0; i < 3; ++i) expected[12 + i] = i + 1;
    for (uint8_t i = 0; i < 6; ++i) expected[42 + i] = i;
    EXPECT_EQ(DhchapHost::negotiate(), expected);
}

// By Python, with key = base64.b64decode(...)[:-4]; but for key 00
// key = hmac.new(key, host + b"NVMe-over-Fabrics", <the key's hash>).digest(); then
// hmac.new(key, bytes(range(1, length + 1)) + bytes([1, 2, 3, 4, 1, 0, 0]) + b"HostHost" + host +
// b"\0" + subsystem, hash).hexdigest()[:16].
TEST(Dhchap, ComputesWhatPythonDoes) {
    constexpr const char* kExpected[3][4] = {
        {"647b10b15f4e8ea7", "45cbb03e9df55436", "81d19b03e4abf244", "114eee3cf3eb6c23"},
        {"ddbe43b3142b1563", "449a53499bec7cd5", "2c97dbe420540f46", "3aed7d18a9e99faf"},
        {"a77cf4e6dca5ad83", "142bdae2ac2fdc32", "e4bb2309f65400fe", "6d1d27b63300f06a"}};
    constexpr uint8_t kLengths[] = {32, 48, 64};
    for (uint8_t hash = 1; hash <= 3; ++hash) {
        const uint8_t length = kLengths[hash - 1];
        Bytes challenge{1, 1, 0, 0, 1, 0, length, 0, hash, 0, 0, 0, 1, 2, 3, 4};
        for (uint8_t i = 1; i <= length; ++i) challenge.push_back(i);
        for (size_t key = 0; key < 4; ++key) {
            const Host host(kKeys[key]);
            const auto reply = host.side("nqn.2014-08.org.nvmexpress:uuid:host",
                                         "nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:target")
                                   .reply(challenge);
            ASSERT_TRUE(reply.ok()) << reply.error().message;
            const Bytes& bytes = reply.value();
            ASSERT_EQ(bytes.size(), 16u + 2 * length);
            const Bytes head{1, 2, 0, 0, 1, 0, length, 0, 0, 0, 0, 0, 0, 0, 0, 0};
            EXPECT_TRUE(std::equal(head.begin(), head.end(), bytes.begin()));
            std::string response;
            for (size_t i = 0; i < 8; ++i) {
                char digits[3];
                std::snprintf(digits, sizeof(digits), "%02x", bytes[16 + i]);
                response += digits;
            }
            EXPECT_EQ(response, kExpected[hash - 1][key]) << int{hash} << " " << key;
            EXPECT_EQ(std::count(bytes.end() - length, bytes.end(), 0), length)
                << "no challenge for a target that need prove nothing";
        }
    }
}

TEST(Dhchap, AuthenticatesWithEveryHashGroupAndKindOfKey) {
    for (uint8_t hash = 1; hash <= 3; ++hash) {
        for (uint8_t group = 0; group <= 5; ++group) {
            for (const bool both : {false, true}) {
                const std::string &key = kKeys[group % 4], other = kKeys[(group + 1) % 4];
                const Host host(key, both ? other : "");
                DhchapHost side = host.side();
                DhchapTarget target({key, other, hash, group}, kHostNqn, kNqn);
                const Error error = errorOf(authenticate(side, target));
                EXPECT_EQ(error.code, 0) << error.message;
                EXPECT_TRUE(target.hasAuthenticated()) << int{hash} << int{group} << both;
            }
        }
    }
}

// One in 256 of the values that both compute begins with a zero, which counts.
TEST(Dhchap, ASharedValueThatBeginsWithZeros) {
    const Host host(kKeys[0], kOtherKey);
    bool seen = false;
    while (!seen) {
        DhchapHost side = host.side();
        DhchapTarget target({kKeys[0], kOtherKey, 1, 1}, kHostNqn, kNqn);
        ASSERT_TRUE(authenticate(side, target).ok());
        seen = target.shared().front() == 0;
    }
}

TEST(Dhchap, TheWrongKeyIsRejected) {
    for (const uint8_t group : {0, 1}) {
        const Host wrong(kOtherKey);
        DhchapHost side = wrong.side();
        DhchapTarget target({kKeys[0], "", 1, group}, kHostNqn, kNqn);
        const Error error = errorOf(authenticate(side, target));
        EXPECT_EQ(error.code, EKEYREJECTED);
        EXPECT_EQ(error.message, "") << "the code says it all";
        EXPECT_TRUE(side.last().empty()) << "it has said the last word";
    }
}

// A key is bound to the names of both.
TEST(Dhchap, ForAnotherNameTheKeyIsWrong) {
    const Host host(kKeys[2], kKeys[3]);
    for (const auto& [name, subsystem] :
         {std::pair(kHostNqn + "1", kNqn), std::pair(kHostNqn, kOtherNqn)}) {
        DhchapHost side = host.side();
        DhchapTarget target({kKeys[2], kKeys[3]}, name, subsystem);
        EXPECT_EQ(errorOf(authenticate(side, target)).code, EKEYREJECTED);
    }
}

TEST(Dhchap, ATargetWithAnotherKeyIsFoundOut) {
    for (const uint8_t group : {0, 1}) {
        const Host host(kKeys[0], kKeys[2]);
        DhchapHost side = host.side();
        DhchapTarget target({kKeys[0], kKeys[3], 2, group}, kHostNqn, kNqn);
        const Error error = errorOf(authenticate(side, target));
        EXPECT_EQ(error.code, EKEYREJECTED);
        EXPECT_THAT(error.message, HasSubstr("controller_key"));
        EXPECT_TRUE(target.wasToldFailure2());
    }
}

// The kernel connects to such a one (6.12, nvme_auth_process_dhchap_success1()).
TEST(Dhchap, ATargetThatProvesNothingIsFoundOut) {
    const Host host(kKeys[0], kKeys[2]);
    DhchapHost side = host.side();
    DhchapTarget target({kKeys[0]}, kHostNqn, kNqn);
    target.send(DhchapHost::negotiate());
    ASSERT_TRUE(side.reply(target.receive(4096)).ok());
    for (const size_t length : {16, 48, 4096}) {
        Bytes success{1, 3, 0, 0, 1, 0, 32};
        success.resize(length);
        EXPECT_EQ(errorOf(side.judge(success)).code, EKEYREJECTED);
        EXPECT_EQ(side.last(), (Bytes{0, 0xf0, 0, 0, 1, 0, 1, 1}));
        success[8] = 1;
        EXPECT_EQ(errorOf(side.judge(success)).code, EKEYREJECTED) << "what it says is zeros";
    }
}

TEST(Dhchap, ARefusalNamesItsReason) {
    const Host host(kKeys[0]);
    const std::pair<uint8_t, const char*> reasons[] = {
        {0, "0x00"},      {2, "protocol"}, {3, "secure channel"}, {4, "hashes"}, {5, "groups"},
        {6, "malformed"}, {7, "turn"},     {8, "0x08"},           {255, "0xff"}};
    for (const auto& [number, text] : reasons) {
        const Error error = host.side().reply({0, 0xf1, 0, 0, 1, 0, 1, number}).error();
        EXPECT_EQ(error.code, EPROTONOSUPPORT);
        EXPECT_THAT(error.message, HasSubstr(text));
    }
    EXPECT_EQ(host.side().reply({0, 0xf1, 0, 0, 1, 0, 1, 1}).error().code, EKEYREJECTED);
}

class LiesOfATarget : public testing::Test {
 protected:
    LiesOfATarget() {
        target_.send(DhchapHost::negotiate());
        challenge_ = target_.receive(16 + 32 + 256);
    }
    int reply(const Bytes& challenge) {
        const auto result = host_.side().reply(challenge);
        return result.ok() ? 0 : result.error().code;
    }
    const Host host_{kKeys[0], kKeys[2]};
    DhchapTarget target_{{kKeys[0], kKeys[2], 1, 1}, kHostNqn, kNqn};
    Bytes challenge_;
};

TEST_F(LiesOfATarget, InTheChallenge) {
    ASSERT_EQ(reply(challenge_), 0);
    const std::pair<size_t, int> lies[] = {
        {0, 0}, {0, 2}, {1, 0},   {1, 3}, {4, 2}, {5, 1},   {6, 0},  {6, 31}, {6, 255},  {8, 0},
        {8, 2}, {8, 4}, {8, 255}, {9, 0}, {9, 6}, {9, 255}, {10, 1}, {11, 0}, {11, 255}, {11, 2}};
    for (const auto& [place, value] : lies) {
        Bytes changed = challenge_;
        changed[place] = static_cast<uint8_t>(value);
        EXPECT_EQ(reply(changed), EPROTO) << place << " " << value;
    }
    for (size_t length = 0; length < challenge_.size(); ++length) {
        EXPECT_EQ(reply({challenge_.begin(), challenge_.begin() + static_cast<ptrdiff_t>(length)}),
                  EPROTO)
            << length;
    }
}

// With 0, 1 or p - 1 the shared value would be known to all; from p on it is no number of the
// group.
TEST_F(LiesOfATarget, InTheDhValue) {
    const Bytes prime = DhchapTarget::prime(1);
    const auto replyTo = [&](Bytes value, int last) {
        value.back() = static_cast<uint8_t>(last);
        Bytes changed = challenge_;
        std::copy(value.begin(), value.end(), changed.begin() + 48);
        return reply(changed);
    };
    for (const int last : {0, 1, 2}) EXPECT_EQ(replyTo(Bytes(256), last), last < 2 ? EPROTO : 0);
    ASSERT_EQ(prime.back(), 0xff);
    EXPECT_EQ(replyTo(prime, 0xfd), 0);
    EXPECT_EQ(replyTo(prime, 0xfe), EPROTO);
    EXPECT_EQ(replyTo(prime, 0xff), EPROTO);
    EXPECT_EQ(replyTo(Bytes(256, 0xff), 0xff), EPROTO);
}

TEST_F(LiesOfATarget, InTheOutcome) {
    DhchapHost side = host_.side();
    target_.send(side.reply(challenge_).value());
    const Bytes success = target_.receive(16 + 32);
    ASSERT_TRUE(side.judge(success).ok());
    const std::pair<size_t, int> lies[] = {{0, 0}, {1, 1}, {1, 4}, {4, 0}, {5, 1}, {6, 0}, {6, 48}};
    for (const auto& [place, value] : lies) {
        Bytes changed = success;
        changed[place] = static_cast<uint8_t>(value);
        EXPECT_EQ(errorOf(side.judge(changed)).code, EPROTO) << place << " " << value;
    }
    for (size_t length = 0; length < success.size(); ++length) {
        const Bytes part(success.begin(), success.begin() + static_cast<ptrdiff_t>(length));
        EXPECT_EQ(errorOf(side.judge(part)).code, length < 16 ? EPROTO : EKEYREJECTED) << length;
    }
}

TEST_F(LiesOfATarget, WhateverItSends) {
    std::mt19937 random(7);
    for (int round = 0; round < 5000; ++round) {
        DhchapHost side = host_.side();
        Bytes message = challenge_;
        for (int i = random() % 4; i >= 0; --i) {
            message[random() % 20] = static_cast<uint8_t>(random() % 2 ? random() : random() % 4);
        }
        if (random() % 4 == 0) message.resize(random() % 1200);
        // Most of the time is that of a group.
        if (round % 16 != 0 && message.size() > 9) message[9] = 0;
        if (side.reply(message).ok()) static_cast<void>(side.judge(message));
    }
}

// Ends the process while threads compute, which go on when the program's own objects are gone.
[[noreturn]] void exitMeanwhile() {
    const std::string name = kHostNqn, subsystem = kNqn;
    const Host host(kKeys[0]);
    DhchapTarget target({kKeys[0], "", 1, 1}, name, subsystem);
    target.send(DhchapHost::negotiate());
    const Bytes challenge = target.receive(DhchapHost::kMessageBytes);
    std::atomic<int> computed{0};
    for (int i = 0; i < 4; ++i) {
        std::thread([&] {
            while (true) {
                (void)host.side(name, subsystem).reply(challenge);
                ++computed;
            }
        }).detach();
    }
    while (computed < 8) std::this_thread::yield();
    exit(0);
}

// OpenSSL frees what it has at exit(), also under threads that compute.
TEST(DhchapDeathTest, TheProcessMayExitMeanwhile) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    for (int time = 0; time < 5; ++time) {
        EXPECT_EXIT(exitMeanwhile(), testing::ExitedWithCode(0), "");
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
