// SPDX-License-Identifier: Apache-2.0
// Objects in the kernel's tree: how they come and go, ours and others'.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "failing_tree.h"
#include "file_pattern.h"
#include "kernel_fixture.h"
#include "remote_host.h"
#include "target_process.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::AlignedBuffer;
using test_support::readDirect;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// A configuration of somebody else, as made by nvmetcli or by hand.
class ForeignObjects {
 public:
    ForeignObjects(const std::string& root, const std::string& service, const std::string& file)
        : root_(root) {
        makeFolder(subsystem());
        makeFolder(subsystem() + "/namespaces/1");
        writeAttribute(subsystem() + "/namespaces/1/device_path", file);
        writeAttribute(subsystem() + "/namespaces/1/enable", "1");
        makeFolder(host());
        EXPECT_EQ(symlink(host().c_str(), allowed().c_str()), 0);
        makeFolder(port());
        writeAttribute(port() + "/addr_trtype", "tcp");
        writeAttribute(port() + "/addr_adrfam", "ipv4");
        writeAttribute(port() + "/addr_traddr", "127.0.0.1");
        writeAttribute(port() + "/addr_trsvcid", service);
        EXPECT_EQ(symlink(subsystem().c_str(), link().c_str()), 0);
    }
    ~ForeignObjects() {
        EXPECT_EQ(unlink(link().c_str()), 0);
        removeFolder(port());
        EXPECT_EQ(unlink(allowed().c_str()), 0);
        removeFolder(host());
        removeFolder(subsystem() + "/namespaces/1");
        removeFolder(subsystem());
    }
    static std::string hostNqn() { return "nqn.2014-08.org.nvmexpress:foreign-host"; }

 private:
    std::string subsystem() const { return root_ + "/subsystems/nqn.2014-08.org:foreign"; }
    std::string host() const { return root_ + "/hosts/" + hostNqn(); }
    std::string allowed() const { return subsystem() + "/allowed_hosts/" + hostNqn(); }
    std::string port() const { return root_ + "/ports/1"; }
    std::string link() const { return port() + "/subsystems/foreign"; }

    const std::string root_;
};

class LifecycleTest : public KernelTargetTest {
 protected:
    std::unique_ptr<TargetProcess> startProcess() {
        const std::string number = std::to_string(++processes_);
        const std::string whole = dir_.file("whole" + number, kMiB);
        const std::string part = dir_.file("part" + number, kMiB);
        auto process = std::make_unique<TargetProcess>([&] {
            auto started = Target::start(kLoopback, options_);
            if (!started.ok()) return std::string();
            static std::unique_ptr<Target> kept = started.take();
            if (!kept->addFile(1, whole, kMiB).ok()) return std::string();
            if (!kept->addFile(2, part, kMiB / 2).ok()) return std::string();
            return kept->subsystemNqn();
        });
        EXPECT_NE(process->nqn(), "");
        return process;
    }

 private:
    int processes_ = 0;
};

// Case 16: only the orphans of the dead process go. Case 17: nothing foreign is touched. Case 18:
// two processes share a port. Case 46: no manual cleaning.
TEST_F(LifecycleTest, AKilledTargetIsCleanedUpByTheNext) {
    ForeignObjects foreign(options_.nvmetRoot, "4421", dir_.file("foreign", kMiB));
    options_.allowedHosts = {ForeignObjects::hostNqn(), "nqn.2014-08.org.nvmexpress:host"};
    const TreeSnapshot before = snapshot();
    auto live = startProcess();
    const TreeSnapshot withLive = snapshot();
    auto dead = startProcess();
    EXPECT_THAT(pathsWith(snapshot(), "param_inline_data_size"), SizeIs(2));  // one per port
    dead->kill();
    ASSERT_THAT(pathsWith(snapshot(), dead->nqn()), Not(IsEmpty()));

    auto target = start();
    ASSERT_NE(target, nullptr);
    EXPECT_THAT(pathsWith(snapshot(), dead->nqn()), IsEmpty());
    EXPECT_THAT(pathsWith(snapshot(), target->subsystemNqn()), Not(IsEmpty()));
    target.reset();
    EXPECT_EQ(snapshot(), withLive);
    EXPECT_TRUE(waitFor([&] { return loops().size() == 1; }));  // the live one's

    // Nor does a port or host stay that the next one has no use for.
    live->kill();
    options_.allowedHosts.clear();
    start({"tcp", "ipv4", "127.0.0.1", "4422"}).reset();
    EXPECT_EQ(snapshot(), before);
}

// What a crash leaves between the two steps in which a port or host is made or removed: an entry
// without our mark, which we never touch again. It is in nobody's way.
TEST_F(LifecycleTest, EntriesWithoutAMarkAreInert) {
    const std::string nqn = "nqn.2014-08.org.nvmexpress:test-host";
    const std::string port = nvmet("ports/40000"), host = nvmet("hosts/" + nqn);
    makeFolder(port);
    for (const auto& [name, value] : {std::pair{"trtype", "tcp"},
                                      {"adrfam", "ipv4"},
                                      {"traddr", "127.0.0.1"},
                                      {"trsvcid", "4420"}}) {
        writeAttribute(port + "/addr_" + name, value);
    }
    makeFolder(host);
    const TreeSnapshot before = snapshot();
    EXPECT_FALSE(RemoteHost(kLoopback, "nqn.2014-08.org.nvmexpress.discovery").connected());
    options_.allowedHosts = {nqn};
    auto target = start();
    ASSERT_NE(target, nullptr);
    ASSERT_TRUE(target->addFile(1, dir_.file("file", kMiB), kMiB).ok());
    EXPECT_TRUE(RemoteHost(kLoopback, target->subsystemNqn(), nqn).open(1).valid());
    target.reset();
    EXPECT_EQ(snapshot(), before);
    removeFolder(host);
    removeFolder(port);
}

// Case 1: the dead target's host comes to the new one only by the new name, and what it was about
// to write ends with an error, not in the file that has the old one's number now.
TEST_F(LifecycleTest, ARestartedTargetIsAnotherSubsystem) {
    auto dead = startProcess();
    RemoteHost host(kLoopback, dead->nqn());
    ASSERT_TRUE(host.connected());
    UniqueFd device = host.open(1);
    dead->kill();
    std::atomic<bool> stop = false, failed = false;
    std::atomic<size_t> writes = 0;
    std::thread writer([&] {
        AlignedBuffer buffer(4096);
        while (!stop && pwrite(device.get(), buffer.data(), 4096, 0) == 4096) ++writes;
        failed = !stop;
    });
    EXPECT_TRUE(waitFor([&] { return writes > 0; })) << "the kernel serves the dead one's file";
    auto target = start();
    const std::string other = dir_.path() + "/part1";
    ASSERT_TRUE(target->addFile(1, other, kMiB).ok());
    const auto untouched = [&] { return readDirect(other, 0, 1) == std::vector<uint8_t>{'x'}; };
    EXPECT_TRUE(waitFor([&] { return failed || !untouched(); }));
    stop = true;
    writer.join();
    EXPECT_TRUE(failed);
    EXPECT_TRUE(untouched()) << "a write of before in the new target's file";
    EXPECT_FALSE(RemoteHost(kLoopback, dead->nqn(), "nqn.2014-08.org.nvmexpress:b").connected());
    EXPECT_TRUE(
        RemoteHost(kLoopback, target->subsystemNqn(), "nqn.2014-08.org.nvmexpress:c").connected());
}

// Case 14: not an address of this host.
TEST_F(LifecycleTest, AnAddressThatIsNotLocal) {
    const Error error = errorOf(tryStart({"tcp", "ipv4", "192.0.2.1", "4420"}));
    EXPECT_EQ(error.code, EADDRNOTAVAIL);
    EXPECT_THAT(error.message, HasSubstr("192.0.2.1"));
}

// Case 14: a port that a stranger made in the target.
TEST_F(LifecycleTest, APortThatAStrangerServes) {
    ForeignObjects foreign(options_.nvmetRoot, "4420", dir_.file("foreign", kMiB));
    const TreeSnapshot before = snapshot();
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_THAT(error.message, HasSubstr("ports/1"));
    EXPECT_EQ(snapshot(), before);
    EXPECT_NE(start({"tcp", "ipv4", "127.0.0.1", "4422"}), nullptr);
    EXPECT_EQ(snapshot(), before);
}

// Case 14: a port that a program listens on.
TEST_F(LifecycleTest, APortThatAProgramHas) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int reuse = 1;
    ASSERT_EQ(setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)), 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(4420);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
    ASSERT_EQ(listen(socket.get(), 1), 0);
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_THAT(error.message, HasSubstr("another program"));
}

// Case 15: a failure at every single step of a start.
TEST_F(LifecycleTest, EveryStepOfAStartIsRolledBack) {
    options_.allowedHosts = {"nqn.2014-08.org.nvmexpress:host"};
    auto tree = std::make_shared<FailingTree>(makePosixConfigTree());
    options_.lookInterval = std::chrono::hours(1);  // steps are counted
    const TreeSnapshot before = snapshot();
    int failures = 0;
    for (int at = 1;; ++at) {
        tree->arm(at, EIO);
        auto started = Target::start(kLoopback, options_, tree);
        const bool all = tree->failed().empty();
        tree->arm(0, 0);
        if (all) break;
        if (!started.ok()) ++failures;
        if (started.ok()) started.take().reset();
        ASSERT_EQ(snapshot(), before) << "after a failure of operation " << at;
    }
    EXPECT_GE(failures, 15);
}

// Case 15: a failure at every single step of an export, also of a part through a loop device.
TEST_F(LifecycleTest, EveryStepOfAnExportIsRolledBack) {
    auto tree = std::make_shared<FailingTree>(makePosixConfigTree());
    options_.lookInterval = std::chrono::hours(1);  // steps are counted
    auto started = Target::start(kLoopback, options_, tree);
    ASSERT_TRUE(started.ok());
    auto target = started.take();
    const std::string path = dir_.file("file", kMiB);
    const TreeSnapshot before = snapshot();
    uint32_t nsid = 0;
    for (const uint64_t size : {kMiB, kMiB / 2}) {
        int failures = 0;
        for (int at = 1;; ++at) {
            tree->arm(at, EIO);
            const auto added = target->addFile(++nsid, path, size);
            const bool all = tree->failed().empty();
            tree->arm(0, 0);
            if (all) break;
            ++failures;
            EXPECT_EQ(errorOf(added).code, EIO);
            ASSERT_EQ(snapshot(), before) << "after a failure of operation " << at;
            ASSERT_TRUE(waitFor([&] { return loops().empty(); }));
        }
        EXPECT_EQ(failures, 4);
        ASSERT_TRUE(target->removeFile(nsid).ok());
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
