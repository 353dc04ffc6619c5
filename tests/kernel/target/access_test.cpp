// SPDX-License-Identifier: Apache-2.0
// Who may connect, and who no longer.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "file_pattern.h"
#include "kernel_fixture.h"
#include "remote_host.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::AlignedBuffer;
using test_support::comparePattern;
using test_support::fillPattern;
using test_support::makeFile;

const std::string kGood = "nqn.2014-08.org.nvmexpress:good";
const std::string kBad = "nqn.2014-08.org.nvmexpress:bad";

/// Reads and writes a device of one MiB and checks each byte, until it is told to stop.
class VerifiedIo {
 public:
    explicit VerifiedIo(UniqueFd device) : device_(std::move(device)), thread_([this] { run(); }) {}
    ~VerifiedIo() { end(); }

    size_t rounds() const { return rounds_; }
    /// @return what went wrong, or ""
    std::string end() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        return trouble_;
    }
    bool failed() const { return failed_; }

 private:
    void run() {
        AlignedBuffer buffer(65536);
        for (uint64_t seed = 1; !stop_ && trouble_.empty(); ++seed, ++rounds_) {
            const auto at = static_cast<off_t>(seed % 16 * 65536);
            fillPattern(seed, 0, buffer.data(), buffer.size());
            expect(pwrite(device_.get(), buffer.data(), buffer.size(), at), "write");
            std::memset(buffer.data(), 0, buffer.size());
            expect(pread(device_.get(), buffer.data(), buffer.size(), at), "read");
            if (trouble_.empty()) trouble_ = comparePattern(seed, 0, buffer.data(), buffer.size());
        }
        failed_ = !trouble_.empty();
    }
    void expect(ssize_t result, const char* what) {
        if (result == 65536 || !trouble_.empty()) return;
        trouble_ = std::string(what) + ": " + std::to_string(result) + ", " + strerror(errno);
    }

    const UniqueFd device_;
    std::atomic<bool> stop_ = false, failed_ = false;
    std::atomic<size_t> rounds_ = 0;
    std::string trouble_;  // the thread's own until it has ended
    std::thread thread_;
};

/// Reads over one controller alone, past the block devices.
class ControllerReads {
 public:
    explicit ControllerReads(const RemoteHost& host)
        : controller_(::open(host.controller().c_str(), O_RDWR | O_CLOEXEC)) {
        EXPECT_TRUE(controller_.valid()) << host.controller();
    }
    bool read() {
        AlignedBuffer buffer(4096);
        nvme_passthru_cmd command{};
        command.opcode = 2;  // Read (NVM Command Set Specification), of the one block at 0
        command.nsid = 1;
        command.addr = reinterpret_cast<uintptr_t>(buffer.data());
        command.data_len = 4096;
        return ioctl(controller_.get(), NVME_IOCTL_IO_CMD, &command) == 0;
    }

 private:
    const UniqueFd controller_;
};

class AccessTest : public KernelTargetTest {
 protected:
    void exportFile(Target& target) {
        const std::string path = dir_.path() + "/file";
        makeFile(path, kMiB);
        const auto added = target.addFile(1, path, kMiB);
        ASSERT_TRUE(added.ok()) << added.error().message;
    }
};

// Case 21: only hosts on the list may connect.
TEST_F(AccessTest, OnlyListedHostsConnect) {
    options_.allowedHosts = {kGood};
    auto target = start();
    EXPECT_TRUE(RemoteHost(kLoopback, target->subsystemNqn(), kGood).connected());
    EXPECT_FALSE(RemoteHost(kLoopback, target->subsystemNqn(), kBad).connected());
}

// Case 22: a host that is taken off the list while it is connected is cut off and stays so; another
// goes on with its I/O, and no byte is wrong. A neighbour at the same port is not touched.
TEST_F(AccessTest, AHostTakenOffTheListIsCutOff) {
    const std::string list = dir_.path() + "/hosts";
    std::ofstream(list) << kGood << '\n' << kBad << '\n';
    options_.allowedHostsFile = list;
    auto target = start();
    exportFile(*target);
    options_.allowedHostsFile.clear();
    auto neighbour = start();
    RemoteHost guest(kLoopback, neighbour->subsystemNqn());
    ASSERT_TRUE(guest.connected());

    RemoteHost good(kLoopback, target->subsystemNqn(), kGood);
    ASSERT_TRUE(good.connected());
    VerifiedIo io(good.open(1));
    RemoteHost bad(kLoopback, target->subsystemNqn(), kBad);
    ASSERT_TRUE(bad.connected());
    ControllerReads badReads(bad);
    ASSERT_TRUE(waitFor([&] { return badReads.read(); }));
    ASSERT_TRUE(waitFor([&] { return io.rounds() > 2; }));

    std::ofstream(list) << kGood << '\n';
    EXPECT_TRUE(waitFor([&] { return !badReads.read(); })) << "it can still read";
    const size_t before = io.rounds();
    EXPECT_TRUE(waitFor([&] { return io.rounds() > before + 10 || io.failed(); }));
    EXPECT_FALSE(badReads.read());
    EXPECT_FALSE(RemoteHost(kLoopback, target->subsystemNqn(), kBad).connected());
    EXPECT_EQ(io.end(), "");
    EXPECT_EQ(readAttribute("/sys/class/nvme/" + guest.controller().substr(5) + "/state"), "live");

    // Back on the list it is let in again; where its kernel has not given up yet (6.1) that is its
    // old controller.
    std::ofstream(list) << kGood << '\n' << kBad << '\n';
    EXPECT_TRUE(waitFor([&] {
        return badReads.read() || RemoteHost(kLoopback, target->subsystemNqn(), kBad).connected();
    }));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
