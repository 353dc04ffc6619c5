// SPDX-License-Identifier: Apache-2.0
// The target answers whatever it is asked, and some I/O has no end: a path that loses large packets
// alone, or a disk that hangs. The kernel connects anew and sends the same again, for ever, or,
// with nvme_core.io_timeout as some clouds set it, does nothing.
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "faults_fixture.h"
#include "file_pattern.h"
#include "kernel_state.h"
#include "log_lines.h"

namespace {

using namespace mooncake;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// As in AnswersInTime: the contract's limit is about 10 s.
constexpr std::chrono::seconds kLimit{20};
constexpr size_t kLarge = 64 << 10, kSmall = 4096;

/// nvme_core.io_timeout, which controllers have that are made from now on.
class KernelTimeout {
 public:
    explicit KernelTimeout(const std::string& seconds) {
        std::ifstream(kFile) >> before_;
        std::ofstream(kFile) << seconds << std::flush;
    }
    ~KernelTimeout() { std::ofstream(kFile) << before_ << std::flush; }

 private:
    static constexpr char kFile[] = "/sys/module/nvme_core/parameters/io_timeout";
    std::string before_;
};

class HungIoTest : public FaultTest {
 protected:
    /// Requests as one batch; @return how many FAILED, after all have ended in time.
    size_t failedOf(const std::vector<TransferRequest>& requests) {
        TransferEngine& engine = initiator().engine();
        const BatchID batch = engine.allocateBatchID(requests.size());
        const auto start = Clock::now();
        EXPECT_TRUE(engine.submitTransfer(batch, requests).ok());
        size_t ended = 0, failed = 0;
        EXPECT_TRUE(eventually(
            [&] {
                ended = failed = 0;
                for (size_t i = 0; i < requests.size(); ++i) {
                    TransferStatus status{TransferStatusEnum::INVALID, 0};
                    EXPECT_TRUE(engine.getTransferStatus(batch, i, status).ok());
                    ended += status.s != TransferStatusEnum::WAITING;
                    failed += status.s == TransferStatusEnum::FAILED;
                }
                return ended == requests.size();
            },
            static_cast<int>(kLimit.count())))
            << requests.size() - ended << " have no end";
        printf("    the last of %zu after %.1f s; %zu failed\n", requests.size(),
               std::chrono::duration<double>(Clock::now() - start).count(), failed);
        fflush(stdout);
        EXPECT_TRUE(engine.freeBatchID(batch).ok());
        return failed;
    }

    void loseLargePackets() {
        TargetNode& target = FaultTest::target(1, "jumbo", 2);
        test_support::AlignedBuffer buffer(3 * kLarge);
        test_support::fillPattern(3, 0, buffer.data(), kLarge);
        const SegmentID segment = initiator().engine().openSegment("jumbo");
        host(1).useJumboFrames();
        // So that these are what the connection is used to.
        for (const uint32_t id : target.ids()) {
            ASSERT_TRUE(initiator().write(segment, id, 0, buffer.data(), kLarge));
        }
        const test_support::LogLines log;
        host(1).loseLargerThan(8600);
        // Where the kernel needs long to take a connection down, the second one tells.
        for (int i = 0; i < 2; ++i) {
            EXPECT_GE(failedOf({{TransferRequest::READ, buffer.data() + kLarge, segment, 0, kLarge,
                                 0, target.ids()[0]},
                                {TransferRequest::WRITE, buffer.data() + 2 * kLarge, segment,
                                 kLarge, kLarge, 0, target.ids()[1]},
                                {TransferRequest::READ, buffer.data(), segment, 2 * kLarge, kSmall,
                                 0, target.ids()[0]}}),
                      2u);
        }
        EXPECT_TRUE(log.contain("check the MTU of the path")) << log.text();
        EXPECT_TRUE(initiator().read(segment, target.ids()[0], 0, buffer.data(), kSmall))
            << "small ones get through";
        host(1).loseLargerThan(0);
        ASSERT_TRUE(eventually(
            [&] { return initiator().read(segment, target.ids()[0], 0, buffer.data(), kLarge); }));
        EXPECT_EQ(test_support::comparePattern(3, 0, buffer.data(), kLarge), "");
    }
};

TEST_F(HungIoTest, LargePacketsAreLost) {
    loseLargePackets();
}

TEST_F(HungIoTest, LargePacketsAreLostAndTheKernelHasNoLimit) {
    const KernelTimeout never("4294967295");
    loseLargePackets();
}

// The file's requests end when their time is over; those of the target's other file, which go over
// the same connection, notice nothing.
TEST_F(HungIoTest, ADiskHangs) {
    const KernelTimeout never("4294967295");
    const Variable limit("MC_NVMEOF_GENERIC_IO_TIMEOUT", "4");
    run({"modprobe", "dm-mod"});
    std::istringstream disks(getenv("NVMEOF_TEST_DISKS"));
    std::string disk;
    ASSERT_TRUE(disks >> disk);
    std::ofstream(testFolder() + "/table") << "0 16384 linear " << disk << " 0\n";
    run({"dmsetup", "create", "hangs", "--noudevsync", testFolder() + "/table"});
    std::string device;
    for (const auto& block : std::filesystem::directory_iterator("/sys/block")) {
        std::string name;
        std::ifstream(block.path() / "dm/name") >> name;
        if (name == "hangs") device = "/dev/" + block.path().filename().string();
    }
    ASSERT_FALSE(device.empty());
    {
        TargetNode target(host(1), metadata->port(), "hanging", {device, makeTestFile("beside")});
        const auto [hung, beside] = std::pair(target.ids()[0], target.ids()[1]);
        const SegmentID segment = initiator().engine().openSegment("hanging");
        test_support::AlignedBuffer buffer(4 * kSmall);
        ASSERT_TRUE(initiator().read(segment, hung, 0, buffer.data(), kSmall));
        ASSERT_TRUE(initiator().read(segment, beside, 0, buffer.data(), kSmall));
        std::atomic<bool> stop{false};
        std::atomic<size_t> completed{0}, failed{0};
        run({"dmsetup", "suspend", "--noflush", "--noudevsync", "hangs"});
        std::thread reader([&] {
            test_support::AlignedBuffer own(kSmall);
            while (!stop)
                ++(initiator().read(segment, beside, 0, own.data(), kSmall) ? completed : failed);
        });
        const test_support::LogLines log;
        EXPECT_EQ(failedOf({{TransferRequest::READ, buffer.data(), segment, 0, kSmall, 0, hung},
                            {TransferRequest::WRITE, buffer.data() + kSmall, segment, kSmall,
                             kSmall, 0, hung}}),
                  2u);
        EXPECT_TRUE(log.contain("its disk hangs")) << log.text();
        const size_t failedBeside = failed;
        run({"dmsetup", "resume", "--noudevsync", "hangs"});
        const size_t before = completed;
        EXPECT_TRUE(eventually([&] { return completed > before + 10; })) << "it goes on";
        stop = true;
        reader.join();
        printf("    beside it: %zu completed, %zu failed\n", completed.load(), failed.load());
        // A target with Linux 6.1 may let nobody connect before the disk has answered.
        utsname kernel{};
        ASSERT_EQ(uname(&kernel), 0);
        if (!std::string(kernel.release).starts_with("6.1.")) {
            EXPECT_EQ(failedBeside, 0u);
        }
        EXPECT_TRUE(
            eventually([&] { return initiator().read(segment, hung, 0, buffer.data(), kSmall); }));
        endInitiator();
    }
    run({"dmsetup", "remove", "--noudevsync", "hangs"});
}

}  // namespace
