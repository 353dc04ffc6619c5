// SPDX-License-Identifier: Apache-2.0
#include "bench/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace mooncake::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

FlagValues initiatorFlags() {
    FlagValues flags;
    flags.localServerName = "me";
    flags.metadataServer = "http://127.0.0.1:8080/metadata";
    flags.segmentId = "target";
    return flags;
}

FlagValues targetFlags(const std::string& mode = "target") {
    FlagValues flags = initiatorFlags();
    flags.mode = mode;
    flags.segmentId = "";
    flags.files = "/tmp/a";
    return flags;
}

// Case 50: the message names the flag, its value and what is allowed.
void expectRefused(const FlagValues& flags, const std::string& flagAndValue,
                   const std::string& allowed) {
    Options options{};
    const MaybeFailure failure = checkFlags(flags, options);
    ASSERT_TRUE(failure.has_value()) << flagAndValue;
    EXPECT_EQ(failure->code, ExitCode::kUsage);
    EXPECT_THAT(failure->message, StartsWith(flagAndValue + ": "));
    EXPECT_THAT(failure->message, HasSubstr(allowed));
}

TEST(Options, DocumentedDefaults) {
    Options options{};
    ASSERT_FALSE(checkFlags(initiatorFlags(), options).has_value());
    EXPECT_EQ(options.mode, Mode::kInitiator);
    EXPECT_EQ(options.operation, Operation::kRead);
    ASSERT_EQ(options.shapes.size(), 1u);
    EXPECT_EQ(options.shapes[0].batchSize, 4096u);
    EXPECT_EQ(options.shapes[0].window, 1u);
    EXPECT_EQ(options.shapes[0].blockSize, 65536u);
    EXPECT_EQ(options.durationSeconds, 30u);
    EXPECT_EQ(options.shapes[0].threads, 1u);
    EXPECT_EQ(options.format, OutputFormat::kTable);
    EXPECT_EQ(options.reportUnit.name, "GB");
    EXPECT_EQ(options.reportPrecision, 2u);
    EXPECT_EQ(options.targetAddress, "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420");
    EXPECT_FALSE(options.verify);
}

TEST(Options, LoopbackGoesOverTheNetworkUnlessToldOtherwise) {
    FlagValues flags = targetFlags("loopback");
    Options options{};
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    EXPECT_EQ(options.localAccess, "nvmeof");
    flags.localAccess = "direct";
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    EXPECT_EQ(options.localAccess, "direct");
    flags.localAccess = "both";
    EXPECT_TRUE(checkFlags(flags, options).has_value());
}

TEST(Options, LocalServerNameIsTheHostNameByDefault) {
    FlagValues flags = targetFlags();
    flags.localServerName = "";
    Options options{};
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    EXPECT_FALSE(options.localServerName.empty());
}

TEST(Options, FilesAreSeparatedByBlanks) {
    FlagValues flags = targetFlags("loopback");
    flags.files = "  /tmp/a /dev/b\t c ";
    Options options{};
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    EXPECT_EQ(options.files, (std::vector<std::string>{"/tmp/a", "/dev/b", "c"}));
}

TEST(Options, AddressForTheTransport) {
    FlagValues flags = targetFlags();
    flags.trtype = "rdma";
    flags.adrfam = "ipv6";
    flags.traddr = "fe80::1%lo";
    flags.trsvcid = "65535";
    Options options{};
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    EXPECT_EQ(options.targetAddress, "trtype=rdma adrfam=ipv6 traddr=fe80::1%lo trsvcid=65535");
}

TEST(Options, SeveralAddressesAreLists) {
    FlagValues flags = targetFlags();
    flags.trtype = "tcp,rdma";
    flags.adrfam = "ipv4,ipv6";
    flags.traddr = "127.0.0.1,::1";
    flags.trsvcid = "4420,4421";
    Options options{};
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    EXPECT_EQ(options.targetAddress,
              "trtype=tcp,rdma adrfam=ipv4,ipv6 traddr=127.0.0.1,::1 trsvcid=4420,4421");
}

TEST(Options, EveryBadValueIsNamed) {
    struct Bad {
        std::function<void(FlagValues&)> set;
        std::string flagAndValue;
        std::string allowed;
    };
    const std::vector<Bad> cases = {
        {[](auto& f) { f.mode = "server"; }, "--mode=server", "target, initiator or loopback"},
        {[](auto& f) { f.mode = ""; }, "--mode=", "target, initiator or loopback"},
        {[](auto& f) { f.metadataServer = ""; }, "--metadata_server=", "http://"},
        {[](auto& f) { f.segmentId = ""; }, "--segment_id=", "the target's --local_server_name"},
        {[](auto& f) { f.segmentId = "me"; }, "--segment_id=me", "another name"},
        {[](auto& f) { f.batchSize = "0"; }, "--batch_size=0", "1 to "},
        {[](auto& f) { f.batchSize = "-1"; }, "--batch_size=-1", "1 to "},
        {[](auto& f) { f.blockSize = "0"; }, "--block_size=0", "1 to "},
        {[](auto& f) { f.blockSize = "18446744073709551615"; }, "--block_size=18446744073709551615",
         "1 to "},
        {[](auto& f) { f.blockSize = "2048G"; }, "--block_size=2048G", "1 to "},
        {[](auto& f) { f.blockSize = "4096,,8192"; }, "--block_size=4096,,8192", "1 to "},
        {[](auto& f) { f.blockSize = "4096,"; }, "--block_size=4096,", "1 to "},
        {[](auto& f) { f.blockSize = ""; }, "--block_size=", "1 to "},
        {[](auto& f) { f.blockSize = "4KB"; }, "--block_size=4KB", "K, M or G"},
        {[](auto& f) { f.blockSize = "K"; }, "--block_size=K", "K, M or G"},
        {[](auto& f) { f.blockSize = "99999999999G"; }, "--block_size=99999999999G", "1 to "},
        {[](auto& f) {
             f.blockSize = "1024G";
             f.batchSize = "1024K";
             f.threads = "16";
         },
         "--block_size=1099511627776", "1 to 549755813887 bytes"},
        {[](auto& f) { f.iodepth = "-1"; }, "--iodepth=-1", "0 to 1048576"},
        {[](auto& f) {
             f.iodepth = "8,9";
             f.iodepthBatch = 4;
         },
         "--iodepth=8,9", "multiples of --iodepth_batch=4"},
        {[](auto& f) { f.iodepthBatch = 0; }, "--iodepth_batch=0", "1 to "},
        {[](auto& f) { f.rwmixread = 101; }, "--rwmixread=101", "0 to 100"},
        {[](auto& f) { f.rampTime = -1; }, "--ramp_time=-1", "0 to "},
        {[](auto& f) { f.operation = "trim"; }, "--operation=trim", "randwrite"},
        {[](auto& f) { f.outputFormat = "xml"; }, "--output_format=xml", "table, json or csv"},
        {[](auto& f) { f.duration = 0; }, "--duration=0", "1 to "},
        {[](auto& f) { f.threads = "0"; }, "--threads=0", "1 to 1024"},
        {[](auto& f) { f.threads = "1025"; }, "--threads=1025", "1 to 1024"},
        {[](auto& f) { f.reportUnit = "gb"; }, "--report_unit=gb", "GB|GiB|Gb|MB|MiB|Mb|KB|KiB|Kb"},
        {[](auto& f) { f.reportPrecision = 10; }, "--report_precision=10", "0 to 9"},
        {[](auto& f) { f.trtype = "fc"; }, "--trtype=fc", "tcp or rdma"},
        {[](auto& f) { f.adrfam = "ib"; }, "--adrfam=ib", "ipv4 or ipv6"},
        {[](auto& f) { f.traddr = "::1"; }, "--traddr=::1", "family ipv4"},
        {[](auto& f) { f.traddr = "localhost"; }, "--traddr=localhost", "in numbers"},
        {[](auto& f) { f.traddr = ""; }, "--traddr=", "family ipv4"},
        {[](auto& f) { f.traddr = "127.0.0.1,"; }, "--traddr=127.0.0.1,", "family ipv4"},
        {[](auto& f) { f.traddr = "127.0.0.1,::1"; }, "--traddr=127.0.0.1,::1", "family ipv4"},
        {[](auto& f) { f.trtype = "tcp,"; }, "--trtype=tcp,", "tcp or rdma"},
        {[](auto& f) { f.trsvcid = "1,0"; }, "--trsvcid=1,0", "1 to 65535"},
        // Case 25: nothing may add a second option to the transport's argument.
        {[](auto& f) { f.traddr = "127.0.0.1 trsvcid=1"; }, "--traddr=127.0.0.1 trsvcid=1", "ipv4"},
        {[](auto& f) {
             f.adrfam = "ipv6";
             f.traddr = "::1%lo trsvcid=1";
         },
         "--traddr=::1%lo trsvcid=1", "ipv6"},
        // Case 26
        {[](auto& f) { f.trsvcid = "0"; }, "--trsvcid=0", "1 to 65535"},
        {[](auto& f) { f.trsvcid = "65536"; }, "--trsvcid=65536", "1 to 65535"},
        {[](auto& f) { f.trsvcid = "-1"; }, "--trsvcid=-1", "1 to 65535"},
        {[](auto& f) { f.trsvcid = "4420x"; }, "--trsvcid=4420x", "1 to 65535"},
        {[](auto& f) { f.trsvcid = "99999999999999"; }, "--trsvcid=99999999999999", "1 to 65535"},
        {[](auto& f) { f.trsvcid = ""; }, "--trsvcid=", "1 to 65535"},
        {[](auto& f) {
             f.verify = true;
             f.blockSize = "6144";
         },
         "--block_size=6144", "multiple of 4096 with --verify"},
    };
    for (const Bad& bad : cases) {
        FlagValues flags = initiatorFlags();
        bad.set(flags);
        expectRefused(flags, bad.flagAndValue, bad.allowed);
    }
}

TEST(Options, TargetAndLoopbackNeedFiles) {
    for (const char* mode : {"target", "loopback"}) {
        FlagValues flags = targetFlags(mode);
        flags.files = "  ";
        expectRefused(flags, "--files=  ", std::string("--mode=") + mode);
    }
}

TEST(Options, OddBlockSizeIsFineWithoutVerification) {
    FlagValues flags = initiatorFlags();
    flags.blockSize = "6144";
    Options options{};
    EXPECT_FALSE(checkFlags(flags, options).has_value());
}

TEST(Options, ListsGiveARunForEachCombination) {
    FlagValues flags = initiatorFlags();
    flags.blockSize = "4K,1m";
    flags.batchSize = "7";
    flags.iodepth = "0,32";
    flags.iodepthBatch = 8;
    flags.threads = "1,2";
    flags.operation = "randrw";
    flags.rwmixread = 70;
    Options options{};
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    ASSERT_EQ(options.shapes.size(), 8u);
    EXPECT_EQ(options.shapes[0].blockSize, 4096u);
    EXPECT_EQ(options.shapes[0].batchSize, 7u);
    EXPECT_EQ(options.shapes[0].window, 1u);
    EXPECT_EQ(options.shapes[0].threads, 1u);
    EXPECT_EQ(options.shapes[1].threads, 2u);
    EXPECT_EQ(options.shapes[2].batchSize, 8u);
    EXPECT_EQ(options.shapes[2].window, 4u);
    EXPECT_EQ(options.shapes[4].blockSize, 1048576u);
    EXPECT_EQ(options.operation, Operation::kRandRw);
    EXPECT_EQ(options.readPercent, 70u);
}

TEST(Options, TooManyCombinationsAreRefused) {
    FlagValues flags = initiatorFlags();
    flags.blockSize = flags.threads = "1";
    for (int i = 2; i <= 32; ++i) {
        flags.blockSize += "," + std::to_string(i);
        flags.threads += "," + std::to_string(i);
    }
    expectRefused(flags, "--block_size=" + flags.blockSize, "1000 at most");
}

TEST(Options, BlocksAndThreadsMustFitTheFile) {
    FlagValues flags = initiatorFlags();
    flags.blockSize = "4096";
    flags.threads = "4";
    Options options{};
    ASSERT_FALSE(checkFlags(flags, options).has_value());
    EXPECT_FALSE(checkFileSize(options.shapes[0], "/tmp/a", 16384).has_value());
    const MaybeFailure threads = checkFileSize(options.shapes[0], "/tmp/a", 16383);
    ASSERT_TRUE(threads.has_value());
    EXPECT_EQ(threads->code, ExitCode::kUsage);
    EXPECT_THAT(threads->message, HasSubstr("--threads=4"));
    EXPECT_THAT(threads->message, HasSubstr("'/tmp/a'"));
    const MaybeFailure block = checkFileSize(options.shapes[0], "/tmp/a", 4095);
    ASSERT_TRUE(block.has_value());
    EXPECT_THAT(block->message, HasSubstr("--block_size=4096"));
    EXPECT_THAT(block->message, HasSubstr("of 4095 bytes"));
}

}  // namespace
}  // namespace mooncake::bench
