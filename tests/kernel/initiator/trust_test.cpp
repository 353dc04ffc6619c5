// SPDX-License-Identifier: Apache-2.0
// Targets that are not what they say, or not what they seem.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "fixture.h"
#include "host_modules.h"
#include "nvme_peer.h"
#include "tcp_probe.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace initiator_test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const TransportAddress kOtherPort{"tcp", "ipv4", "127.0.0.1", "4430"};
const TransportAddress kOtherAddress{"tcp", "ipv4", "127.0.0.2", "4420"};

class TrustKernelTest : public InitiatorKernelTest {};

// With native multipath the kernel itself would join the two.
TEST_F(TrustKernelTest, ASecondAddressOfAnNqnIsNoPath) {
    target->listenAt(kOtherPort);
    target->listenAt(kOtherAddress);
    const auto initiator = makeInitiator();
    auto connection = initiator->connect(kLoopback, target->nqn());
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    for (const auto& elsewhere : {kOtherPort, kOtherAddress}) {
        // Another initiator is as good as another process.
        for (auto* who : {initiator.get(), makeInitiator().release()}) {
            const std::unique_ptr<Initiator> other(who == initiator.get() ? nullptr : who);
            const auto refused = who->connect(elsewhere, target->nqn());
            ASSERT_FALSE(refused.ok());
            EXPECT_EQ(refused.error().code, EADDRINUSE) << refused.error().message;
            EXPECT_THAT(refused.error().message, HasSubstr("traddr=127.0.0.1 trsvcid=4420"));
        }
    }
    EXPECT_EQ(controllers().size(), 1u);
    EXPECT_TRUE(open(*initiator, *connection.value()).ok());
}

// Made by nvme-cli, with another host NQN even: the kernel goes by the subsystem's alone.
TEST_F(TrustKernelTest, AControllerOfSomebodyElseAtAnotherAddressIsInTheWay) {
    target->listenAt(kOtherPort);
    const std::string foreign = connectByHand(
        *target, "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-4333-8444-555555555555",
        "99999999-2222-4333-8444-555555555555");
    const auto initiator = makeInitiator();
    const auto refused = initiator->connect(kOtherPort, target->nqn());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, EADDRINUSE) << refused.error().message;
    EXPECT_THAT(refused.error().message, HasSubstr("nvme disconnect -d " + foreign));
    deleteController(foreign);
    EXPECT_TRUE(eventually([&] { return initiator->connect(kOtherPort, target->nqn()).ok(); }));
}

// The kernel knows a controller by the name that it gives itself: this one takes the victim's as
// soon as it is past the probe, and would be a path of the victim's disks.
TEST_F(TrustKernelTest, ATargetThatTakesAnothersNameIsNoPathOfIt) {
    const std::string own = newSubsystemNqn();
    const auto initiator = makeInitiator();
    auto connection = initiator->connect(kLoopback, target->nqn());
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    std::atomic<int> connections{0}, lies{0};
    NvmePeer evil(own, [&](size_t step, NvmePeer::Bytes& answer, int) {
        constexpr size_t kName = 24 + 768;
        if (step == 0) ++connections;
        if (connections < 2 || answer.size() <= 4096 ||
            std::string(reinterpret_cast<const char*>(&answer[kName])) != own) {
            return;
        }
        ++lies;
        std::copy(target->nqn().begin(), target->nqn().end(), &answer[kName]);
    });
    evil.connectResult = 77;
    const auto refused = initiator->connect(evil.address(), own);
    ASSERT_FALSE(refused.ok());
    std::cout << refused.error().message << "\n";
    EXPECT_EQ(refused.error().code, EPROTO) << refused.error().message;
    EXPECT_THAT(refused.error().message, HasSubstr("says that it is '" + target->nqn()));
    EXPECT_GT(lies, 0);
    EXPECT_TRUE(eventually([] { return controllers().size() == 1; }));
    EXPECT_TRUE(open(*initiator, *connection.value()).ok());
}

// The network loses what is larger than `bytes`, while the object exists.
class NarrowNetwork {
 public:
    explicit NarrowNetwork(const char* bytes) {
        run("modprobe", {"-a", "sch_ingress", "cls_u32", "act_police"});
        run("tc", {"qdisc", "add", "dev", "lo", "ingress"});
        run("tc",
            {"filter", "add",  "dev",   "lo",  "parent", "ffff:",  "protocol", "ip",   "prio",
             "1",      "u32",  "match", "u32", "0",      "0",      "police",   "rate", "10gbit",
             "burst",  "10mb", "mtu",   bytes, "drop",   "flowid", ":1"});
    }
    ~NarrowNetwork() { run("tc", {"qdisc", "del", "dev", "lo", "ingress"}); }
    NarrowNetwork(const NarrowNetwork&) = delete;
    NarrowNetwork& operator=(const NarrowNetwork&) = delete;
};

// Jumbo frames on the hosts and not on the switch between them: what is small passes, and the
// kernel would wait a minute for the rest.
TEST_F(TrustKernelTest, APathThatLosesLargePacketsIsNamed) {
    auto options = InitiatorKernelTest::options();
    options.connectTimeout = 5s;
    const auto initiator = makeInitiator(options);
    for (const char* bytes : {"2000", "6000"}) {  // less than Identify; less than the ANA log
        const NarrowNetwork network(bytes);
        const auto refused = initiator->connect(kLoopback, target->nqn());
        ASSERT_FALSE(refused.ok()) << bytes;
        EXPECT_EQ(refused.error().code, ETIMEDOUT);
        EXPECT_THAT(refused.error().message, HasSubstr("check the MTU of the path"));
        EXPECT_TRUE(controllers().empty()) << "the kernel was not asked";
    }
    EXPECT_TRUE(initiator->connect(kLoopback, target->nqn()).ok());
}

size_t connectionsOfPort(unsigned port) {
    size_t count = 0;
    std::ifstream table("/proc/net/tcp");
    for (std::string line; std::getline(table, line);) {
        unsigned number, local, localPort, peer, peerPort, state;
        if (std::sscanf(line.c_str(), " %u: %x:%x %x:%x %x", &number, &local, &localPort, &peer,
                        &peerPort, &state) == 6 &&
            localPort == port && state == 1) {
            ++count;
        }
    }
    return count;
}

// The probe is a host like any other for the target, and leaves nothing there.
TEST_F(TrustKernelTest, AProbeLeavesNothingAtTheTarget) {
    const ProbeRequest request{{kLoopback}, target->nqn(), {kHostNqn, kHostId}, 5s};
    std::vector<double> took;
    for (int i = 0; i < 200; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const auto probed = probeTcpTarget(request, start + 60s, 60s, {});
        ASSERT_TRUE(probed.ok()) << probed.error().message;
        took.push_back(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(took.begin(), took.end());
    std::cout << "a probe took " << 1000 * took[100] << " ms, the slowest of 200 "
              << 1000 * took[199] << " ms\n";
    EXPECT_TRUE(eventually([] { return connectionsOfPort(4420) == 0; }));
    // More probes than a subsystem has controllers (NVME_CNTLID_MAX is 65519) would take too long;
    // what a probe would leave shows in the number that the next controller gets.
    const auto initiator = makeInitiator();
    auto connection = initiator->connect(kLoopback, target->nqn());
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    EXPECT_LE(std::stoi(attribute(*controllers().begin(), "cntlid")), 10);
}

TEST_F(TrustKernelTest, AProbeIsToldWhatTheKernelIsTold) {
    const HostIdentity host{kHostNqn, kHostId};
    const auto codeOf = [&](const std::string& nqn) {
        const auto probed = probeTcpTarget({{kLoopback}, nqn, host, 5s},
                                           std::chrono::steady_clock::now() + 60s, 60s, {});
        return probed.ok() ? 0 : probed.error().code;
    };
    EXPECT_EQ(codeOf(newSubsystemNqn()), EIO);
    target->allowOnly("nqn.2014-08.org.nvmexpress:uuid:99999999-2222-4333-8444-555555555555");
    EXPECT_EQ(codeOf(target->nqn()), EIO);
}

// A key that this kernel would take and ignore. With one that uses keys, the target does not ask.
TEST_F(TrustKernelTest, AKeyIsUsedOrNothingIsConnected) {
    const std::string file = makeBackingFile("key");
    std::ofstream(file, std::ios::trunc)
        << "host_key=DHHC-1:00:JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2:\n";
    ASSERT_EQ(chmod(file.c_str(), 0600), 0);
    auto options = InitiatorKernelTest::options();
    options.keyFile = file;
    for (int i = 0; i < 2; ++i) {
        const auto created = Initiator::create(options);
        std::cout << "made with a key: " << (created.ok() ? "yes" : created.error().message)
                  << "\n";
        if (!created.ok()) {
            EXPECT_EQ(created.error().code, EOPNOTSUPP);
            continue;
        }
        const auto connection = created.value()->connect(kLoopback, target->nqn());
        if (connection.ok()) {
            EXPECT_NE(attribute(*controllers().begin(), "dhchap_secret"), "");
        } else {
            std::cout << connection.error().message << "\n";
            EXPECT_EQ(connection.error().code, EOPNOTSUPP) << connection.error().message;
            EXPECT_THAT(connection.error().message, HasSubstr("CONFIG_NVME_AUTH"));
            EXPECT_TRUE(controllers().empty());
        }
    }
}

}  // namespace
}  // namespace initiator_test
