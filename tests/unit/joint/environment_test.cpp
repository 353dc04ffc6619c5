// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <initializer_list>
#include <string>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

Result<TransportOptions> read(std::initializer_list<const char*> entries) {
    std::vector<const char*> environment(entries);
    environment.push_back(nullptr);
    return readEnvironment(environment.data());
}

TEST(Environment, DefaultsWithoutVariables) {
    const auto options = read({"PATH=/bin", "MC_OTHER=1"});
    ASSERT_TRUE(options.ok()) << options.error().message;
    EXPECT_EQ(options.value().io.directIo, DirectIo::kAuto);
    EXPECT_EQ(options.value().io.numWorkers, 8u);
    EXPECT_TRUE(options.value().target.allowedHosts.empty());
}

TEST(Environment, ReadsEveryVariable) {
    const auto options = read({
        "MC_NVMEOF_GENERIC_DIRECT_IO=off",
        "MC_NVMEOF_GENERIC_NUM_WORKERS=3",
        "MC_NVMEOF_GENERIC_QUEUE_DEPTH=32",
        "MC_NVMEOF_GENERIC_MAX_IO_SIZE=65536",
        "MC_NVMEOF_GENERIC_SPIN_US=20",
        "MC_NVMEOF_GENERIC_BOUNCE_MIB=5",
        "MC_NVMEOF_GENERIC_DURABLE_WRITES=on",
        "MC_NVMEOF_GENERIC_EXPORT_BUSY_DEVICES=on",
        "MC_NVMEOF_GENERIC_PATH_CHECK=off",
        "MC_NVMEOF_GENERIC_CONNECT_TIMEOUT=7",
        "MC_NVMEOF_GENERIC_KEEP_ALIVE=4",
        "MC_NVMEOF_GENERIC_RECONNECT_DELAY=5",
        "MC_NVMEOF_GENERIC_FAST_IO_FAIL=6",
        "MC_NVMEOF_GENERIC_CTRL_LOSS=90",
        "MC_NVMEOF_GENERIC_IO_TIMEOUT=45",
        "MC_NVMEOF_GENERIC_IO_QUEUES=2",
        "MC_NVMEOF_GENERIC_IO_QUEUE_SIZE=64",
        "MC_NVMEOF_GENERIC_HOST_NQN=nqn.2026-01.org.example:me",
        "MC_NVMEOF_GENERIC_ALLOWED_HOSTS=nqn.2026-01.org.example:a,nqn.2026-01.org.example:b",
        "MC_NVMEOF_GENERIC_ALLOWED_NETWORKS=10.0.0.0/8,fd00::/8",
        "MC_NVMEOF_GENERIC_STATS_FILE=/run/stats",
        "MC_NVMEOF_GENERIC_STATS_INTERVAL=3",
        "MC_NVMEOF_GENERIC_STATS_LABEL=store-1",
    });
    ASSERT_TRUE(options.ok()) << options.error().message;
    const auto file = read({"MC_NVMEOF_GENERIC_ALLOWED_HOSTS_FILE=/etc/nvme/allowed hosts",
                            "MC_NVMEOF_GENERIC_DHCHAP_KEYS=/etc/nvme/keys",
                            "MC_NVMEOF_GENERIC_DHCHAP_KEY_FILE=/etc/nvme/key"});
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file.value().target.allowedHostsFile, "/etc/nvme/allowed hosts");
    EXPECT_EQ(file.value().target.dhchapKeys, "/etc/nvme/keys");
    EXPECT_EQ(file.value().initiator.keyFile, "/etc/nvme/key");
    EXPECT_EQ(options.value().statsLabel, "store-1");
    EXPECT_EQ(file.value().statsLabel, "joint_test") << "the program's name";
    const TransportOptions& read = options.value();
    EXPECT_EQ(read.io.directIo, DirectIo::kOff);
    EXPECT_EQ(read.io.numWorkers, 3u);
    EXPECT_EQ(read.io.queueDepth, 32u);
    EXPECT_EQ(read.io.maxIoBytes, 65536u);
    EXPECT_EQ(read.io.spin, 20us);
    EXPECT_EQ(read.io.bounceBytes, 5u << 20);
    EXPECT_TRUE(read.io.durableWrites);
    EXPECT_EQ(read.initiator.connectTimeout, 7s);
    EXPECT_EQ(read.initiator.keepAlive, 4s);
    EXPECT_EQ(read.initiator.reconnectDelay, 5s);
    EXPECT_EQ(read.initiator.fastIoFail, 6s);
    EXPECT_EQ(read.initiator.controllerLoss, 90s);
    EXPECT_EQ(read.initiator.ioTimeout, 45s);
    EXPECT_EQ(read.initiator.ioQueues, 2u);
    EXPECT_EQ(read.initiator.queueDepth, 64u);
    EXPECT_EQ(read.initiator.hostNqn, "nqn.2026-01.org.example:me");
    EXPECT_TRUE(read.target.exportBusyDevices);
    EXPECT_EQ(read.target.pathCheck, PathCheck::kOff);
    EXPECT_EQ(read.initiator.pathCheck, PathCheck::kOff);
    EXPECT_EQ(read.target.allowedHosts,
              (std::vector<std::string>{"nqn.2026-01.org.example:a", "nqn.2026-01.org.example:b"}));
    EXPECT_TRUE(read.allowedNetworks.contains({"tcp", "ipv4", "10.9.9.9", "4420"}));
    EXPECT_FALSE(read.allowedNetworks.contains({"tcp", "ipv4", "11.9.9.9", "4420"}));
    EXPECT_EQ(read.statsFile, "/run/stats");
    EXPECT_EQ(read.statsInterval, 3s);
}

// Case 50: a malformed value is an error that names variable and value, never a default.
TEST(Environment, RefusesMalformedValues) {
    for (const std::string entry : {
             "DIRECT_IO=yes",
             "DIRECT_IO=",
             "DIRECT_IO=ON",
             "NUM_WORKERS=0",
             "NUM_WORKERS=257",
             "NUM_WORKERS=-1",
             "NUM_WORKERS=+1",
             "NUM_WORKERS=8x",
             "NUM_WORKERS= 8",
             "NUM_WORKERS=",
             "NUM_WORKERS=99999999999999999999999",
             "QUEUE_DEPTH=0",
             "QUEUE_DEPTH=1025",
             "MAX_IO_SIZE=4095",
             "MAX_IO_SIZE=12288",
             "MAX_IO_SIZE=33554432",
             "SPIN_US=1001",
             "BOUNCE_MIB=0",
             "DURABLE_WRITES=1",
             "EXPORT_BUSY_DEVICES=yes",
             "PATH_CHECK=no",
             "CONNECT_TIMEOUT=0",
             "KEEP_ALIVE=0",
             "KEEP_ALIVE=3601",
             "RECONNECT_DELAY=0",
             "FAST_IO_FAIL=0",
             "CTRL_LOSS=0",
             "CTRL_LOSS=86401",
             "IO_TIMEOUT=0",
             "IO_TIMEOUT=86401",
             "IO_QUEUES=1025",
             "IO_QUEUE_SIZE=15",
             "IO_QUEUE_SIZE=1025",
             "HOST_NQN=me",
             "HOST_NQN=nqn.2026-01.org.example:a,b",
             "ALLOWED_NETWORKS=",
             "ALLOWED_NETWORKS=10.0.0.0/33",
             "STATS_FILE=",
             "STATS_FILE=stats",
             "STATS_FILE=/run/",
             "STATS_INTERVAL=0",
             "STATS_LABEL=",
             "STATS_LABEL=a b",
             "STATS_LABEL=a\"b",
             "ALLOWED_HOSTS=",
             "ALLOWED_HOSTS=nqn.2026-01.org.example:a,",
             "ALLOWED_HOSTS=,nqn.2026-01.org.example:a",
             "ALLOWED_HOSTS=nqn.2026-01.org.example:a,../x",
             "DHCHAP_KEYS=keys",
             "DHCHAP_KEY_FILE=./key",
             "DHCHAP_KEY_FILE=DHHC-1:00:",
             "ALLOWED_HOSTS_FILE=",
             "ALLOWED_HOSTS_FILE=hosts",
             "ALLOWED_HOSTS_FILE=/etc/hosts\n",
         }) {
        const std::string whole = "MC_NVMEOF_GENERIC_" + entry;
        const auto options = read({whole.c_str()});
        ASSERT_FALSE(options.ok()) << whole;
        EXPECT_EQ(options.error().code, EINVAL);
        const std::string name = whole.substr(0, whole.find('='));
        EXPECT_NE(options.error().message.find(name), std::string::npos) << options.error().message;
        EXPECT_NE(options.error().message.find("expected"), std::string::npos)
            << options.error().message;
        EXPECT_EQ(options.error().message.find("DHHC-1:"), std::string::npos) << "a key is shown";
    }
}

// Case 50: a mistyped name would otherwise be a silent default, too.
TEST(Environment, RefusesUnknownNames) {
    const auto options = read({"MC_NVMEOF_GENERIC_WORKERS=4"});
    ASSERT_FALSE(options.ok());
    EXPECT_NE(options.error().message.find("MC_NVMEOF_GENERIC_WORKERS"), std::string::npos);
    EXPECT_NE(options.error().message.find("NUM_WORKERS"), std::string::npos);
}

TEST(Environment, ControllerLossIsNotBelowFastIoFail) {
    EXPECT_FALSE(read({"MC_NVMEOF_GENERIC_CTRL_LOSS=5", "MC_NVMEOF_GENERIC_FAST_IO_FAIL=6"}).ok());
    EXPECT_TRUE(read({"MC_NVMEOF_GENERIC_CTRL_LOSS=6", "MC_NVMEOF_GENERIC_FAST_IO_FAIL=6"}).ok());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
