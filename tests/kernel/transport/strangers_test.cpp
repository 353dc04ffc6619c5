// SPDX-License-Identifier: Apache-2.0
// Case 17: what others have set up in the kernel's target stays as it is, whatever we do beside it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster.h"
#include "kernel_state.h"
#include "target_process.h"

namespace {

using namespace mooncake;
using namespace test_support;
namespace fs = std::filesystem;

constexpr size_t kSize = 1 << 20;
constexpr char kHost[] = "nqn.2020-01.org.example:host";

/// A subsystem with a namespace and an allowed host, a port with a referral, as `nvmetcli restore`
/// leaves them; and a subsystem, a port and a host that are not complete, as somebody leaves them
/// who is in the middle of it.
class Strangers {
 public:
    explicit Strangers(const std::string& file) {
        make("hosts/" + std::string(kHost));
        make(kSubsystem);
        set(kSubsystem + "/attr_allow_any_host", "0");
        set(kSubsystem + "/attr_serial", "example0001");
        link("hosts/" + std::string(kHost), kSubsystem + "/allowed_hosts/" + kHost);
        make(kSubsystem + "/namespaces/7");
        set(kSubsystem + "/namespaces/7/device_path", file);
        set(kSubsystem + "/namespaces/7/device_uuid", "01234567-89ab-4cde-8f01-23456789abcd");
        set(kSubsystem + "/namespaces/7/enable", "1");
        make(kPort);
        set(kPort + "/addr_trtype", "tcp");
        set(kPort + "/addr_adrfam", "ipv4");
        set(kPort + "/addr_traddr", "127.0.0.1");
        set(kPort + "/addr_trsvcid", "4421");
        link(kSubsystem, kPort + "/subsystems/nqn.2020-01.org.example:storage");
        make(kPort + "/referrals/other");
        set(kPort + "/referrals/other/addr_trtype", "tcp");
        set(kPort + "/referrals/other/addr_traddr", "192.0.2.9");
        // In the middle; the port's number is in the range that we take ours from.
        make("hosts/nqn.2020-01.org.example:unused");
        make("subsystems/nqn.2020-01.org.example:empty");
        make("subsystems/nqn.2020-01.org.example:empty/namespaces/1");
        make("ports/40000");
    }
    ~Strangers() {
        EXPECT_EQ(unlink((kRoot + kPort + "/subsystems/nqn.2020-01.org.example:storage").c_str()),
                  0);
        EXPECT_EQ(unlink((kRoot + kSubsystem + "/allowed_hosts/" + kHost).c_str()), 0);
        for (auto path = made_.rbegin(); path != made_.rend(); ++path) {
            EXPECT_EQ(rmdir((kRoot + *path).c_str()), 0) << *path << ": " << strerror(errno);
        }
    }

    /// Every object and link of theirs, every attribute with its value.
    std::map<std::string, std::string> state() const {
        std::map<std::string, std::string> all;
        for (const std::string& path : made_) {
            std::error_code gone;
            if (!fs::exists(kRoot + path, gone)) all[path] = "gone";
            for (fs::recursive_directory_iterator it(kRoot + path, gone), end; it != end;
                 it.increment(gone)) {
                all[it->path()] = it->is_symlink(gone) ? fs::read_symlink(it->path(), gone).string()
                                  : it->is_regular_file(gone) ? content(it->path())
                                                              : "folder";
            }
        }
        return all;
    }

 private:
    static std::string content(const fs::path& path) {
        std::ifstream file(path);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }
    void make(const std::string& path) {
        EXPECT_EQ(mkdir((kRoot + path).c_str(), 0755), 0) << path << ": " << strerror(errno);
        made_.push_back(path);
    }
    void set(const std::string& path, const std::string& value) {
        std::ofstream file(kRoot + path);
        file << value << std::flush;
        EXPECT_TRUE(file.good()) << path << "=" << value;
    }
    void link(const std::string& to, const std::string& path) {
        EXPECT_EQ(symlink((kRoot + to).c_str(), (kRoot + path).c_str()), 0)
            << path << ": " << strerror(errno);
    }

    const std::string kRoot = "/sys/kernel/config/nvmet/";
    const std::string kSubsystem = "subsystems/nqn.2020-01.org.example:storage";
    const std::string kPort = "ports/3";
    std::vector<std::string> made_;
};

class StrangersTest : public ::testing::Test {
 protected:
    StrangersTest() : file_(testFolder() + "/ours"), theirs_(testFolder() + "/theirs") {
        makeFile(file_, kSize);
        makeFile(theirs_, kSize);
        strangers_.emplace(theirs_);
        before_ = strangers_->state();
        objects_ = nvmetObjects();
    }
    ~StrangersTest() override {
        EXPECT_EQ(nvmetObjects(), objects_) << "nothing of ours is left";
        expectUntouched();
    }
    void expectUntouched() { EXPECT_EQ(strangers_->state(), before_); }

    const std::string file_, theirs_;
    std::optional<Strangers> strangers_;
    std::map<std::string, std::string> before_;
    std::set<std::string> objects_;
    MetadataServer metadata_;
};

TEST_F(StrangersTest, AreLeftAloneByATargetFromBeginToEnd) {
    Node target(metadata_, "target", targetAddress("tcp"));
    expectUntouched();
    Node initiator(metadata_, "initiator");
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer buffer(kSize);
    fillPattern(1, 0, buffer.data(), kSize);
    for (const size_t size : {kSize, kSize / 2}) {
        const uint32_t id = target.add(file_, size);
        EXPECT_TRUE(initiator.write(segment, id, 0, buffer.data(), size));
        expectUntouched();
        EXPECT_EQ(target.engine().unregisterLocalFile(file_), 0);
        expectUntouched();
    }
    EXPECT_EQ(readDirect(theirs_, 0, kSize), std::vector<uint8_t>(kSize));
    initiator.end();
    target.end();
}

// The host is theirs, and in our list as well.
TEST_F(StrangersTest, AHostThatIsOnOurListTooStays) {
    Node target(metadata_, "target", targetAddress("tcp") + " allowed_hosts=" + kHost);
    target.add(file_, kSize);
    expectUntouched();
    target.end();
}

// Case 14: their port is no place for us.
TEST_F(StrangersTest, TheirPortIsNotTaken) {
    TransferEngine engine(false);
    ASSERT_EQ(engine.init(metadata_.url(), "target"), 0);
    std::string text = targetAddress("tcp", 4421);
    void* arguments[] = {text.data()};
    EXPECT_EQ(engine.installTransport("nvmeof_generic", arguments), nullptr);
    expectUntouched();
}

// Case 16: what a killed target has left goes, and nothing else.
TEST_F(StrangersTest, AreLeftAloneWhenOrphansAreRemoved) {
    for (const bool byTheTool : {false, true}) {
        TargetProcess killed(metadata_, file_, "4420");
        ASSERT_TRUE(killed.ready());
        killed.signal(SIGKILL);
        killed.wait();
        EXPECT_NE(nvmetObjects(), objects_);
        if (byTheTool) {
            ChildProcess clean({"nvmeof_generic_admin", "clean"});
            EXPECT_EQ(clean.wait(), 0) << clean.output();
        } else {
            Node next(metadata_, "target", targetAddress("tcp"));
            expectUntouched();
        }
        EXPECT_EQ(nvmetObjects(), objects_);
        expectUntouched();
    }
}

}  // namespace
