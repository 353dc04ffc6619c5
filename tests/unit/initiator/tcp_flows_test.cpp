// SPDX-License-Identifier: Apache-2.0
#include "tcp_flows.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

// Lines as Linux writes them (net/ipv4/tcp_ipv4.c get_tcp4_sock, net/ipv6/tcp_ipv6.c).
class TcpFlowsTest : public ::testing::Test {
 protected:
    void table(const std::string& name, const std::string& remote, const std::string& queued,
               const std::string& repeated, const std::string& state = "01") {
        std::filesystem::create_directories(proc() + "/net");
        FakeHost::write(proc() + "/net/" + name,
                        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
                        "retrnsmt   uid  timeout inode\n"
                        "   0: 0100000A:D2F0 0200000A:1144 01 00000000:00000000 00:00000000 "
                        "00000000     0        0 0 2 0000000000000000 20 4 0 10 -1\n"
                        "   1: 0100000A:D2F2 " +
                            remote + " " + state + " " + queued + ":00000000 01:0000001A " +
                            repeated + "     0        0 0 2 0000000000000000 20 4 0 10 -1\n");
    }
    std::string proc() const { return (host.sys() / "proc").string(); }
    FakeHost host;
};

TEST_F(TcpFlowsTest, DataThatIsRepeatedIsWaitedForInVain) {
    table("tcp", "0200000A:1144", "00000048", "00000003");
    EXPECT_TRUE(waitsInVain("10.0.0.2", "4420", "", proc()));
    EXPECT_FALSE(waitsInVain("10.0.0.3", "4420", "", proc()));
    EXPECT_FALSE(waitsInVain("10.0.0.2", "4421", "", proc()));
    EXPECT_FALSE(waitsInVain("10.0.0.2", "", "", proc()));
    EXPECT_FALSE(waitsInVain("host", "4420", "", proc()));
}

TEST_F(TcpFlowsTest, AfterTwoTimesItMayArriveYet) {
    table("tcp", "0200000A:1144", "00000048", "00000002");
    EXPECT_FALSE(waitsInVain("10.0.0.2", "4420", "", proc()));
}

// Probes of an idle connection count as repetitions.
TEST_F(TcpFlowsTest, WithoutDataNobodyWaits) {
    table("tcp", "0200000A:1144", "00000000", "00000005");
    EXPECT_FALSE(waitsInVain("10.0.0.2", "4420", "", proc()));
}

TEST_F(TcpFlowsTest, AlsoOverIpv6) {
    table("tcp6", "B80D0120000000000000000001000000:1144", "00000048", "00000007");
    EXPECT_TRUE(waitsInVain("2001:db8::1", "4420", "", proc()));
    EXPECT_FALSE(waitsInVain("2001:db8::2", "4420", "", proc()));
}

TEST_F(TcpFlowsTest, WhatIsShutDownMayHaveData) {
    for (const std::string state : {"04", "09", "0B"}) {
        table("tcp", "0200000A:1144", "00000049", "00000000", state);
        EXPECT_TRUE(closesWithData("10.0.0.2", "4420", proc())) << state;
        EXPECT_FALSE(closesWithData("10.0.0.3", "4420", proc()));
        table("tcp", "0200000A:1144", "00000001", "00000000", state);
        EXPECT_FALSE(closesWithData("10.0.0.2", "4420", proc())) << "nothing but its end";
    }
    for (const std::string state : {"01", "02", "05", "06", "08"}) {
        table("tcp", "0200000A:1144", "00000049", "00000000", state);
        EXPECT_FALSE(closesWithData("10.0.0.2", "4420", proc())) << state;
    }
}

TEST_F(TcpFlowsTest, WithoutATableNothingIsKnown) {
    EXPECT_FALSE(waitsInVain("10.0.0.2", "4420", "", proc()));
}

// Who gives a path up wants to be sure that it is dead, and who tells an end that nothing comes.
TEST_F(TcpFlowsTest, WithoutTheTableNothingIsSure) {
    EXPECT_FALSE(waitsInVain("10.0.0.2", "4420", "", proc()));
    EXPECT_TRUE(closesWithData("10.0.0.2", "4420", proc()));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
