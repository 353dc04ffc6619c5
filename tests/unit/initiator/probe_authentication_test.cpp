// SPDX-License-Identifier: Apache-2.0
#include "probe_authentication.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "fake_host.h"
#include "nvme_peer.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Bytes = NvmePeer::Bytes;

const std::string kKeyA = "DHHC-1:00:JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2:";
const std::string kKeyB = "DHHC-1:01:SlVga3aBjJeirbjDztnk7/oFEBsmMTxHUl1oc36JlJ9Udcmo:";
const std::string kKeyC =
    "DHHC-1:02:b3qFkJumsbzH0t3o8/4JFB8qNUBLVmFsd4KNmKOuucTP2uXw+wYRHCcyPUhTXml0QnvTEQ==:";

// What is asked for, in this order; the rest is as without authentication.
enum Step : size_t {
    kConnect = 1,
    kNegotiation,
    kChallenge,
    kReply,
    kOutcome,
    kEnd,
    kRest,
    kAll = kRest + 10
};

// One probe with one pair of keys.
Result<> probe(const NvmePeer& peer, const std::string& hostKey,
               const std::string& controllerKey = "", std::chrono::milliseconds limit = 30s) {
    const Secret host(hostKey), controller(controllerKey);
    const KeyPair keys{host.empty() ? nullptr : &host, controller.empty() ? nullptr : &controller};
    return probeTcpTarget({{peer.address()}, kNqn, {kHostNqn, kHostId}, 5s, keys},
                          Clock::now() + 30s, limit, {});
}

Error errorOf(const Result<>& result) {
    return result.ok() ? Error{0, {}} : result.error();
}

// A target with kKeyA for the host, and kKeyB of its own.
struct Target : NvmePeer {
    explicit Target(Change change = [](size_t, Bytes&, int) {})
        : NvmePeer(kNqn, std::move(change)) {
        authentication = DhchapTarget::Config{.hostKey = kKeyA, .controllerKey = kKeyB};
    }
};

TEST(ProbeAuthentication, ThenGoesThroughTheRest) {
    for (const bool both : {false, true}) {
        for (const uint8_t group : {0, 1}) {
            Target target;
            target.authentication->group = group;
            const Error error = errorOf(probe(target, kKeyA, both ? kKeyB : ""));
            EXPECT_EQ(error.code, 0) << error.message;
            EXPECT_TRUE(target.hasAuthenticated());
            const auto got = target.received();
            ASSERT_EQ(got.size(), both ? size_t{kAll} : size_t{kAll} - 1);
            for (const size_t step : {kNegotiation, kReply}) {
                const Bytes& pdu = got[step];
                EXPECT_EQ(pdu[8], 0x7f);
                EXPECT_EQ(pdu[8 + 4], 5);
                EXPECT_EQ(pdu[8 + 39], 0x01) << "its data is in the capsule";
                EXPECT_EQ(72u + (pdu[8 + 44] | pdu[8 + 45] << 8), pdu.size());
            }
            for (const size_t step : {kChallenge, kOutcome}) {
                const Bytes& pdu = got[step];
                EXPECT_EQ(pdu.size(), 72u);
                EXPECT_EQ(pdu[8 + 4], 6);
                EXPECT_EQ(pdu[8 + 32] | pdu[8 + 33] << 8, 4096) << "as Linux asks for";
                EXPECT_EQ(pdu[8 + 44] | pdu[8 + 45] << 8, 4096);
            }
        }
    }
}

// It gives no more than there is.
TEST(ProbeAuthentication, AcceptsShorterMessages) {
    Target target([](size_t step, Bytes& answer, int) {
        if (step != kChallenge && step != kOutcome) return;
        const uint32_t length = 16 + 32, all = 24 + length;
        std::copy(answer.end() - 24, answer.end(), answer.begin() + all);
        answer.resize(all + 24);
        std::memcpy(&answer[4], &all, 4);
        std::memcpy(&answer[16], &length, 4);
    });
    const Error error = errorOf(probe(target, kKeyA, kKeyB));
    EXPECT_EQ(error.code, 0) << error.message;
}

// A bit that means nothing (16) is nothing to Linux, too.
TEST(ProbeAuthentication, IsDoneWhereTheTargetAsksForIt) {
    NvmePeer target(kNqn);
    target.connectResult = 7 | 1u << 16;
    EXPECT_TRUE(probe(target, kKeyA).ok());
    EXPECT_EQ(target.received().size(), size_t{kAll} - 5);
}

TEST(ProbeAuthentication, AHostWithoutAKeyEndsAtOnce) {
    Target target;
    const Error error = errorOf(probe(target, ""));
    EXPECT_EQ(error.code, ENOKEY);
    EXPECT_EQ(error.message, "") << "the code says it all";
    EXPECT_EQ(target.received().size(), size_t{kConnect} + 1);
}

// Linux refuses that, and the kernel need not be asked (nvmf_connect_admin_queue()).
TEST(ProbeAuthentication, ATargetThatWantsTlsIsRefused) {
    for (const uint64_t asks : {1u << 18, 3u << 17}) {
        NvmePeer target(kNqn);
        target.connectResult = 7 | asks;
        const Error error = errorOf(probe(target, kKeyA));
        EXPECT_EQ(error.code, EPROTONOSUPPORT);
        EXPECT_THAT(error.message, HasSubstr("TLS"));
        EXPECT_EQ(target.received().size(), size_t{kConnect} + 1);
    }
}

TEST(ProbeAuthentication, AWrongKeyEndsIt) {
    Target target;
    const Error error = errorOf(probe(target, kKeyC));
    EXPECT_EQ(error.code, EKEYREJECTED);
    EXPECT_EQ(error.message, "");
    EXPECT_EQ(target.received().size(), size_t{kOutcome} + 1) << "the target has ended it";
}

TEST(ProbeAuthentication, ATargetWithAnotherKeyIsToldSo) {
    Target target;
    const Error error = errorOf(probe(target, kKeyA, kKeyC));
    EXPECT_EQ(error.code, EKEYREJECTED);
    EXPECT_THAT(error.message, HasSubstr("does not prove"));
    EXPECT_TRUE(target.wasToldFailure2());
    EXPECT_EQ(target.received().size(), size_t{kEnd} + 1);
}

TEST(ProbeAuthentication, ATargetWithoutAKeyOfItsOwnIsRefused) {
    Target target;
    target.authentication->controllerKey.clear();
    EXPECT_EQ(errorOf(probe(target, kKeyA, kKeyB)).code, EKEYREJECTED);
}

TEST(ProbeAuthentication, ATargetThatTakesNoneOfTheHashes) {
    Target target;
    target.authentication->hash = 9;
    const Error error = errorOf(probe(target, kKeyA));
    EXPECT_EQ(error.code, EPROTONOSUPPORT);
    EXPECT_THAT(error.message, HasSubstr("hashes"));
}

TEST(ProbeAuthentication, ACommandThatIsRefused) {
    for (const size_t step : {kNegotiation, kChallenge, kReply, kOutcome, kEnd}) {
        Target target;
        target.refuseWith[step] = 0x4002;
        const Error error = errorOf(probe(target, kKeyA, kKeyB));
        EXPECT_EQ(error.code, EIO) << step;
        EXPECT_THAT(error.message, AllOf(HasSubstr("DH-HMAC-CHAP"), HasSubstr("status 0x4002")));
    }
}

// Who says that he wants a key and is silent then does not get to the kernel, which would wait for
// him with all connects of the machine held up.
TEST(ProbeAuthentication, ASilentTargetIsFoundOutAtEachStep) {
    const std::pair<size_t, const char*> steps[] = {{kNegotiation, "at the negotiation"},
                                                    {kChallenge, "at the challenge"},
                                                    {kReply, "at the reply"},
                                                    {kOutcome, "at the outcome"},
                                                    {kEnd, "at the end"}};
    for (const auto& [step, name] : steps) {
        std::atomic<bool> reached{false};
        Target target([&, at = step](size_t now, Bytes& answer, int) {
            if (now != at) return;
            reached = true;
            answer.clear();
        });
        // A slow machine may need all of a short time for the steps before.
        Error error{0, ""};
        for (auto limit = 100ms; !reached && limit < 60s; limit *= 3) {
            error = errorOf(probe(target, kKeyA, kKeyB, limit));
        }
        EXPECT_EQ(error.code, ETIMEDOUT) << name;
        EXPECT_THAT(error.message, HasSubstr(std::string(name) + " of DH-HMAC-CHAP"));
    }
}

// Linux's target says no and ends the connection, and the second may overtake the first.
TEST(ProbeAuthentication, WhoEndsTheConnectionInsteadOfAnAnswerHasSaidNo) {
    for (const size_t step : {kNegotiation, kChallenge, kReply, kOutcome, kEnd}) {
        for (const bool reset : {false, true}) {
            Target target([&](size_t at, Bytes& answer, int fd) {
                if (at != step) return;
                answer.clear();
                if (reset) {
                    const sockaddr unspecified{};
                    ::connect(fd, &unspecified, sizeof(unspecified));  // sends an RST
                } else {
                    shutdown(fd, SHUT_RDWR);
                }
            });
            const Error error = errorOf(probe(target, kKeyA, kKeyB));
            const bool saidNo = step == kReply || step == kOutcome;
            EXPECT_EQ(error.code, saidNo ? EKEYREJECTED : ECONNRESET) << step << reset;
            EXPECT_THAT(error.message, HasSubstr("closes the connection"));
            if (saidNo) {
                EXPECT_THAT(error.message, HasSubstr("other keys for host NQN " + kHostNqn));
            }
        }
    }
}

// Of the answers' frames; of their content it is LiesOfATarget's.
TEST(ProbeAuthentication, LiesAreFoundOut) {
    for (const size_t step : {kChallenge, kOutcome}) {
        for (const auto& [place, value] : {std::pair(0, 6),
                                           {2, 23},
                                           {3, 32},
                                           {4, 0x19},
                                           {7, 0x7f},
                                           {8, 0x99},
                                           {12, 1},
                                           {16, 1},
                                           {17, 0x11},
                                           {19, 0xff}}) {
            Target target([&, at = place, to = value](size_t now, Bytes& answer, int) {
                if (now == step) answer[static_cast<size_t>(at)] = static_cast<uint8_t>(to);
            });
            EXPECT_EQ(errorOf(probe(target, kKeyA)).code, EPROTO) << step << " " << place;
        }
        Target silent([&](size_t now, Bytes& answer, int) {
            if (now == step) answer.erase(answer.begin(), answer.end() - 24);
        });
        EXPECT_EQ(errorOf(probe(silent, kKeyA)).code, EPROTO) << "success without a message";
    }
}

// With the options' key file.
class ProbeWithKeyFile : public testing::Test {
 protected:
    ProbeWithKeyFile() {
        std::string pattern = std::filesystem::temp_directory_path() / "nvmeof-key-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        options_.keyFile = folder_ + "/key";
        options_.pathCheck = PathCheck::kOff;
    }
    ~ProbeWithKeyFile() override { std::filesystem::remove_all(folder_); }
    void write(const std::string& content) {
        std::ofstream(options_.keyFile) << content << '\n';
        ASSERT_EQ(chmod(options_.keyFile.c_str(), 0600), 0);
    }
    Result<Probed> probeOf(const NvmePeer& peer) {
        return fabrics_->probe({peer.address()}, kNqn, {kHostNqn, kHostId}, options_,
                               Clock::now() + 30s, {});
    }

    std::string folder_;
    InitiatorOptions options_;
    const std::shared_ptr<Fabrics> fabrics_ = makeKernelFabrics("/nonexistent");
};

TEST_F(ProbeWithKeyFile, TheNewKeysGoFirst) {
    Target target;
    write("host_key=" + kKeyA + "\nhost_key=" + kKeyC + "\ncontroller_key=" + kKeyB);
    const auto probed = probeOf(target);
    ASSERT_TRUE(probed.ok()) << probed.error().message;
    EXPECT_TRUE(probed.value().answered);
    EXPECT_FALSE(probed.value().withOldKeys);
    EXPECT_EQ(target.connections(), 1u);
}

TEST_F(ProbeWithKeyFile, TheOldOnesAreTriedWhereThoseAreRejected) {
    for (const std::string& keys :
         {"host_key=" + kKeyC + "\nhost_key=" + kKeyA,
          "host_key=" + kKeyC + "\nhost_key=" + kKeyA + "\ncontroller_key=" + kKeyB,
          "host_key=" + kKeyA + "\ncontroller_key=" + kKeyC + "\ncontroller_key=" + kKeyB}) {
        for (const bool lost : {false, true}) {
            std::atomic<bool> first{true};
            Target target([&](size_t step, Bytes& answer, int fd) {
                if (!lost || step != kOutcome || !first.exchange(false)) return;
                answer.clear();
                shutdown(fd, SHUT_RDWR);
            });
            write(keys);
            const auto probed = probeOf(target);
            ASSERT_TRUE(probed.ok()) << probed.error().message;
            EXPECT_TRUE(probed.value().withOldKeys);
            EXPECT_EQ(target.connections(), 2u);
        }
    }
}

TEST_F(ProbeWithKeyFile, AnErrorNamesWhatToDoAndNoKey) {
    const std::pair<std::string, int> cases[] = {
        {"host_key=" + kKeyC + "\nhost_key=" + kKeyB, EKEYREJECTED},
        {"host_key=" + kKeyC, EKEYREJECTED},
        {"host_key=" + kKeyA + "\ncontroller_key=" + kKeyC, EKEYREJECTED}};
    for (const auto& [keys, code] : cases) {
        Target target;
        write(keys);
        const auto probed = probeOf(target);
        ASSERT_FALSE(probed.ok());
        EXPECT_EQ(probed.error().code, code);
        EXPECT_THAT(probed.error().message,
                    AllOf(HasSubstr("cannot connect to " + kNqn), HasSubstr("host NQN " + kHostNqn),
                          Not(HasSubstr("DHHC-1"))));
    }
    options_.keyFile.clear();
    Target target;
    const auto probed = probeOf(target);
    ASSERT_FALSE(probed.ok());
    EXPECT_EQ(probed.error().code, ENOKEY);
    EXPECT_THAT(probed.error().message, HasSubstr("MC_NVMEOF_GENERIC_DHCHAP_KEY_FILE"));
}

TEST_F(ProbeWithKeyFile, WithoutTheFileNothingIsAsked) {
    Target target;
    const auto probed = probeOf(target);
    ASSERT_FALSE(probed.ok());
    EXPECT_EQ(probed.error().code, ENOENT) << probed.error().message;
    EXPECT_EQ(target.connections(), 0u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
