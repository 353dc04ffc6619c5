// SPDX-License-Identifier: Apache-2.0
#include "tcp_probe.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fake_host.h"
#include "nvme_peer.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Bytes = NvmePeer::Bytes;

// What is asked for, in this order.
enum Step : size_t {
    kIcReq,
    kConnect,
    kCap,
    kVs,
    kCc,
    kCsts,
    kIdentify,
    kAnaLog,
    kList,
    kQueues,
    kKeepAlive,
    kShutdown,
    kSteps
};

Result<> probe(const TransportAddress& address, std::chrono::milliseconds limit = 30s,
               const std::stop_token& stop = {}) {
    return probeTcpTarget({{address}, kNqn, {kHostNqn, kHostId}, 5s}, Clock::now() + 30s, limit,
                          stop);
}

Error errorOf(const Result<>& result) {
    return result.ok() ? Error{0, {}} : result.error();
}

std::string text(const Bytes& bytes, size_t from) {
    return reinterpret_cast<const char*>(&bytes[from]);
}

TEST(TcpProbe, GoesThroughAllThatTheKernelAsks) {
    for (const int family : {AF_INET, AF_INET6}) {
        NvmePeer peer(
            kNqn, [](size_t, Bytes&, int) {}, family);
        const auto probed = probe(peer.address());
        EXPECT_TRUE(probed.ok()) << probed.error().message;
        const auto got = peer.received();
        ASSERT_EQ(got.size(), size_t{kSteps});
        Bytes icReq(128);
        icReq[2] = icReq[4] = 128;
        EXPECT_EQ(got[kIcReq], icReq);
        const Bytes& connect = got[kConnect];
        ASSERT_EQ(connect.size(), 72u + 1024u);
        EXPECT_EQ(connect[0], 4);
        EXPECT_EQ(connect[2], 72);
        EXPECT_EQ(connect[3], 72);
        EXPECT_EQ(connect[8], 0x7f);
        EXPECT_EQ(connect[8 + 4], 1);
        EXPECT_EQ(connect[8 + 39], 0x01) << "its data is in the capsule";
        EXPECT_EQ(connect[8 + 44], 31) << "the queue's size, counted from 0";
        EXPECT_EQ(connect[8 + 48] | connect[8 + 49] << 8, 5000) << "keep-alive in ms";
        EXPECT_EQ(connect[72], 0x4d) << "the host's id begins so";
        EXPECT_EQ(connect[72 + 15], 0x5b) << "and ends so";
        EXPECT_EQ(connect[72 + 16] & connect[72 + 17], 0xff);
        EXPECT_EQ(text(connect, 72 + 256), kNqn);
        EXPECT_EQ(text(connect, 72 + 512), kHostNqn);
        // Opcode and what tells it from its kind.
        const std::pair<int, int> expected[] = {
            {0, 0}, {0x7f, 0}, {0x7f, 0x00}, {0x7f, 0x08}, {0x7f, 0x14}, {0x7f, 0x1c},
            {6, 1}, {2, 0x0c}, {6, 2},       {9, 7},       {0x18, 0},    {0x7f, 0x14}};
        for (size_t step = kCap; step < kSteps; ++step) {
            const Bytes& pdu = got[step];
            EXPECT_EQ(pdu.size(), 72u) << step;
            EXPECT_EQ(pdu[8], expected[step].first) << step;
            EXPECT_EQ(pdu[8] == 0x7f ? pdu[8 + 44] : pdu[8 + 40], expected[step].second) << step;
        }
        EXPECT_EQ(got[kCc][8 + 48] & 1, 1) << "enabled";
        EXPECT_EQ(got[kShutdown][8 + 49] & 0xc0, 0x40) << "shut down in order";
        const uint32_t dwords = got[kAnaLog][8 + 42] | got[kAnaLog][8 + 43] << 8;
        EXPECT_EQ((dwords + 1) * 4, 16u + 128 * 32 + 1024 * 4) << "as Linux asks nvmet for";
    }
}

// It need not be more than a controller without ANA, whose answers come byte by byte.
TEST(TcpProbe, AcceptsAnswersInPieces) {
    NvmePeer peer(kNqn, [](size_t step, Bytes& answer, int fd) {
        if (step == kIdentify) answer[24 + 76] = 0;
        for (size_t i = 0; i < answer.size(); i += step == kIdentify || step > kAnaLog ? 97 : 1) {
            const size_t length =
                std::min<size_t>(step == kIdentify || step > kAnaLog ? 97 : 1, answer.size() - i);
            EXPECT_EQ(send(fd, &answer[i], length, MSG_NOSIGNAL), static_cast<ssize_t>(length));
        }
        answer.clear();
    });
    const auto probed = probe(peer.address());
    EXPECT_TRUE(probed.ok()) << probed.error().message;
    EXPECT_EQ(peer.received().size(), size_t{kSteps} - 1);
}

TEST(TcpProbe, AcceptsDataWhoseLastPartEndsTheCommand) {
    NvmePeer peer(kNqn, [](size_t step, Bytes& answer, int) {
        if (step != kIdentify) return;
        answer[1] |= 8;
        answer.resize(24 + 4096);
    });
    EXPECT_EQ(errorOf(probe(peer.address())).message, "");
}

TEST(TcpProbe, ARefusalIsAQuickVerdict) {
    NvmePeer peer(kNqn);
    peer.refuseWith[kConnect] = 0x4182;
    const Error error = errorOf(probe(peer.address()));
    EXPECT_EQ(error.code, EIO);
    EXPECT_EQ(error.message, "") << "the code says it all";
}

// An answer holds nobody up, whatever it is. Some the kernel cannot do without.
TEST(TcpProbe, OnlyWhatTheKernelNeedsMustSucceed) {
    for (const size_t step : {kCap, kVs, kCc, kCsts, kIdentify}) {
        NvmePeer peer(kNqn);
        peer.refuseWith[step] = 0x4002;
        const Error error = errorOf(probe(peer.address()));
        EXPECT_EQ(error.code, EIO) << step;
        EXPECT_THAT(error.message, HasSubstr("status 0x4002"));
    }
    for (const size_t step : {kAnaLog, kList, kQueues, kKeepAlive, kShutdown}) {
        NvmePeer peer(kNqn);
        peer.refuseWith[step] = 0x4002;
        EXPECT_TRUE(probe(peer.address()).ok()) << step;
    }
}

// Who falls silent at any step, or sends crumbs, does not get to the kernel.
TEST(TcpProbe, ASilentTargetIsFoundOutAtEachStep) {
    for (size_t step = 0; step < kSteps; ++step) {
        std::atomic<bool> reached{false};
        NvmePeer peer(kNqn, [&](size_t at, Bytes& answer, int) {
            if (at != step) return;
            reached = true;
            answer.clear();
        });
        // A slow machine may need all of a short time for the steps before.
        Error error{0, ""};
        for (auto limit = 100ms; !reached && limit < 60s; limit *= 3) {
            error = errorOf(probe(peer.address(), limit));
        }
        EXPECT_EQ(error.code, ETIMEDOUT) << step;
        const bool large = step == kIdentify || step == kAnaLog || step == kList;
        EXPECT_THAT(error.message,
                    HasSubstr(large ? "check the MTU of the path" : "not answer, at"));
    }
}

TEST(TcpProbe, ATargetThatSendsCrumbsIsFoundOut) {
    for (const size_t step : {kIcReq, kConnect, kIdentify}) {
        std::atomic<bool> enough{false};
        NvmePeer peer(kNqn, [&](size_t at, Bytes& answer, int fd) {
            if (at != step) return;
            for (size_t i = 0; i < answer.size() && !enough; ++i) {
                if (send(fd, &answer[i], 1, MSG_NOSIGNAL) != 1) break;
                std::this_thread::sleep_for(20ms);
            }
            answer.clear();
        });
        EXPECT_EQ(errorOf(probe(peer.address(), 100ms)).code, ETIMEDOUT) << step;
        enough = true;
    }
}

TEST(TcpProbe, AControllerThatIsNeverReadyIsFoundOut) {
    NvmePeer peer(kNqn);
    peer.isReady = false;
    // For all that comes before, on a machine with other work, too.
    const Error error = errorOf(probe(peer.address(), 3s));
    EXPECT_EQ(error.code, ETIMEDOUT);
    EXPECT_THAT(error.message, HasSubstr("CSTS.RDY"));
}

TEST(TcpProbe, ATargetThatEndsTheConnection) {
    for (size_t step = 0; step < kSteps; ++step) {
        for (const bool reset : {false, true}) {
            NvmePeer peer(kNqn, [&](size_t at, Bytes& answer, int fd) {
                if (at != step) return;
                answer.clear();
                if (reset) {
                    const sockaddr unspecified{};
                    ::connect(fd, &unspecified, sizeof(unspecified));  // sends an RST
                } else {
                    shutdown(fd, SHUT_RDWR);
                }
            });
            EXPECT_EQ(errorOf(probe(peer.address())).code, ECONNRESET) << step << reset;
        }
    }
}

// The kernel would make it a path of the other subsystem's disks.
TEST(TcpProbe, ATargetThatSaysItIsAnotherSubsystemIsRefused) {
    NvmePeer peer(kOtherNqn);
    const Error error = errorOf(probe(peer.address()));
    EXPECT_EQ(error.code, EPROTO);
    EXPECT_THAT(error.message, HasSubstr(kOtherNqn));
}

TEST(TcpProbe, ATargetThatChangesItsControllerIsRefused) {
    NvmePeer peer(kNqn, [](size_t step, Bytes& answer, int) {
        if (step == kIdentify) answer[24 + 78] ^= 1;
    });
    EXPECT_EQ(errorOf(probe(peer.address())).code, EPROTO);
}

// Each lie alone, in every answer that can hold it.
TEST(TcpProbe, LiesAreFoundOut) {
    struct Lie {
        const char* what;
        size_t at;
        uint8_t value;
        bool inData;
    };
    const Lie lies[] = {{"type", 0, 6, false},
                        {"type: end", 0, 3, false},
                        {"header's length", 2, 25, false},
                        {"length", 4, 25, false},
                        {"length: huge", 7, 0x7f, false},
                        {"length: 0", 4, 0, false},
                        {"id", 20, 0x99, false},
                        {"type", 0, 6, true},
                        {"header's length", 2, 23, true},
                        {"data's place", 3, 32, true},
                        {"length", 4, 0x19, true},
                        {"length: huge", 7, 0x7f, true},
                        {"id", 8, 0x99, true},
                        {"offset", 12, 1, true},
                        {"data's length", 16, 1, true},
                        {"data's length: huge", 19, 0xff, true}};
    for (const Lie& lie : lies) {
        for (size_t step = kConnect; step < kSteps; ++step) {
            const bool large = step == kIdentify || step == kAnaLog || step == kList;
            if (large != lie.inData) continue;
            NvmePeer peer(kNqn, [&](size_t at, Bytes& answer, int) {
                if (at == step) answer[lie.at] = lie.value;
            });
            EXPECT_EQ(errorOf(probe(peer.address())).code, EPROTO) << lie.what << " at " << step;
        }
    }
    for (const auto& [place, value] :
         {std::pair(2, 127), {4, 127}, {5, 1}, {8, 1}, {10, 1}, {11, 1}}) {
        NvmePeer peer(kNqn, [&, at = place, to = value](size_t step, Bytes& answer, int) {
            if (step == kIcReq) answer[static_cast<size_t>(at)] = static_cast<uint8_t>(to);
        });
        EXPECT_EQ(errorOf(probe(peer.address())).code, EPROTO) << place;
    }
}

// Data without end, in the smallest pieces and in empty ones, and data that is not enough.
TEST(TcpProbe, DataIsBounded) {
    const auto piece = [](const Bytes& of, uint32_t offset, uint32_t length) {
        Bytes pdu(of.begin(), of.begin() + 24);
        const uint32_t all = 24 + length;
        std::memcpy(&pdu[4], &all, 4);
        std::memcpy(&pdu[12], &offset, 4);
        std::memcpy(&pdu[16], &length, 4);
        pdu.resize(all);
        return pdu;
    };
    for (const uint32_t size : {0u, 1u, 4096u}) {
        NvmePeer peer(kNqn, [&](size_t step, Bytes& answer, int fd) {
            if (step != kIdentify) return;
            for (uint32_t offset = 0;; offset += size) {
                const Bytes pdu = piece(answer, offset, size);
                if (send(fd, pdu.data(), pdu.size(), MSG_NOSIGNAL) < 0) break;
            }
            answer.clear();
        });
        EXPECT_EQ(errorOf(probe(peer.address())).code, EPROTO) << size;
    }
    NvmePeer peer(kNqn, [&](size_t step, Bytes& answer, int) {
        if (step != kIdentify) return;
        Bytes less = piece(answer, 0, 4095);
        less.insert(less.end(), answer.end() - 24, answer.end());
        answer = less;
    });
    EXPECT_EQ(errorOf(probe(peer.address())).code, EPROTO);
}

// Whatever a peer sends: the probe ends, with one of the errors that it has.
TEST(TcpProbe, SurvivesAnything) {
    std::mt19937 random(7);
    for (int round = 0; round < 400; ++round) {
        const size_t step = random() % kSteps;
        const unsigned changes = 1 + random() % 6;
        const auto seed = random();
        NvmePeer peer(kNqn, [&](size_t at, Bytes& answer, int fd) {
            if (at != step) return;
            std::mt19937 dice(seed);
            for (unsigned i = 0; i < changes; ++i) {
                // Mostly where the headers are.
                const size_t range = dice() % 2 ? answer.size() : 24;
                answer[dice() % range] = static_cast<uint8_t>(dice());
            }
            if (dice() % 4 == 0) answer.resize(dice() % answer.size());
            send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
            answer.clear();
            shutdown(fd, SHUT_WR);
        });
        const int code = errorOf(probe(peer.address(), 10s)).code;
        EXPECT_THAT(code, testing::AnyOf(0, EPROTO, EIO, ECONNRESET, ENOKEY, EPROTONOSUPPORT))
            << round;
    }
}

TEST(TcpProbe, RefusesOtherServices) {
    for (const char* greeting : {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "HTTP/1.1 400 Bad\r\n"}) {
        NvmePeer peer(kNqn, [&](size_t, Bytes& answer, int) {
            answer.assign(greeting, greeting + std::strlen(greeting));
        });
        EXPECT_EQ(errorOf(probe(peer.address())).code, EPROTO);
    }
}

// A listener on the loopback interface of which nobody takes connections.
class Listener {
 public:
    Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof(address);
        auto* any = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(bind(fd_.get(), any, length), 0);
        EXPECT_EQ(listen(fd_.get(), 8), 0);
        EXPECT_EQ(getsockname(fd_.get(), any, &length), 0);
        port_ = ntohs(address.sin_port);
    }
    TransportAddress address() const { return {"tcp", "ipv4", "127.0.0.1", std::to_string(port_)}; }
    UniqueFd accept() const { return UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
    void close() { fd_.reset(); }

 private:
    UniqueFd fd_;
    uint16_t port_ = 0;
};

// Case 29: a refusing peer.
TEST(TcpProbe, SaysThatNobodyListens) {
    Listener listener;
    const TransportAddress address = listener.address();
    listener.close();
    EXPECT_EQ(probe(address).error().code, ECONNREFUSED);
}

// Case 29: a silent peer. The kernel itself would wait with all other connects held up.
TEST(TcpProbe, EndsAtTheLimitWithASilentPeer) {
    const Listener listener;
    for (const auto limit : {20ms, 0ms}) {
        std::stop_source stop;
        auto probed = std::async(
            std::launch::async, [&] { return probe(listener.address(), limit, stop.get_token()); });
        probed.wait_for(20s);
        stop.request_stop();  // has an effect only if it did not end
        EXPECT_EQ(probed.get().error().code, ETIMEDOUT);
    }
}

TEST(TcpProbe, EndsWhenStopped) {
    const Listener listener;
    std::stop_source stop;
    std::thread probing([&] {
        EXPECT_EQ(probe(listener.address(), 60s, stop.get_token()).error().code, ECANCELED);
    });
    const UniqueFd peer = listener.accept();  // it is under way
    stop.request_stop();
    probing.join();
}

// There are targets that a Connect without anybody to answer to stops for good.
TEST(TcpProbe, AwaitsTheAnswerToConnectWhenStopped) {
    size_t asked = 0;
    // On a machine that stands still for a second it is not awaited.
    for (int attempt = 0; attempt < 10 && asked <= kCap; ++attempt) {
        std::stop_source stop;
        NvmePeer peer(kNqn, [&](size_t step, Bytes&, int fd) {
            if (step != kConnect) return;
            stop.request_stop();
            // It ends within this time, if it does.
            pollfd end{fd, POLLRDHUP, 0};
            poll(&end, 1, 100);
        });
        static_cast<void>(probe(peer.address(), 30s, stop.get_token()));
        asked = peer.received().size();
    }
    EXPECT_GT(asked, size_t{kCap}) << "it ended before";
}

TEST(TcpProbe, AwaitsItForASecondAtMost) {
    std::stop_source stop;
    NvmePeer silent(kNqn, [&](size_t step, Bytes& answer, int) {
        if (step != kConnect) return;
        answer.clear();
        stop.request_stop();
    });
    EXPECT_EQ(errorOf(probe(silent.address(), 60s, stop.get_token())).code, ECANCELED);
}

TEST(TcpProbe, IsForNoOtherTransport) {
    const auto fabrics = makeKernelFabrics("/nonexistent");
    const Path path{{"rdma", "ipv4", "127.0.0.1", "4420"}};
    const auto probed = fabrics->probe(path, kNqn, {kHostNqn, kHostId}, {}, Clock::now() + 30s, {});
    ASSERT_TRUE(probed.ok());
    EXPECT_FALSE(probed.value().answered) << "it was not asked";
}

TEST(TcpProbe, SaysThatAnInterfaceIsMissing) {
    const TransportAddress address{"tcp", "ipv6", "fe80::1%nosuchif0", "4420"};
    const Error error = errorOf(probe(address));
    EXPECT_EQ(error.code, EADDRNOTAVAIL);
    EXPECT_THAT(error.message, HasSubstr("nosuchif0"));
}

TEST(TcpProbe, SaysWhichOptionNamesWhatIsNotThere) {
    const Listener listener;
    for (const HostSide& from : {HostSide{"nosuchif0", ""}, HostSide{"", "192.0.2.77"}}) {
        const auto probed =
            probeTcpTarget({{listener.address(), from}, kNqn, {kHostNqn, kHostId}, 5s},
                           Clock::now() + 30s, 30s, {});
        const Error error = errorOf(probed);
        EXPECT_EQ(error.code, EADDRNOTAVAIL);
        EXPECT_THAT(error.message, HasSubstr("HOST_INTERFACES"));
        EXPECT_THAT(error.message, HasSubstr(from.interface + from.address));
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
