// SPDX-License-Identifier: Apache-2.0
// What dead targets leave, and who removes it.
#include <gmock/gmock.h>

#include <cerrno>

#include "target_fixture.h"
#include "target_process.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::SizeIs;

class OrphanTest : public TargetTest {
 protected:
    OrphanTest() { options_.allowedHosts = {"nqn.2014-08.org:host"}; }

    std::unique_ptr<TargetProcess> startProcess(const TransportAddress& address = kLoopback) {
        const std::string number = std::to_string(++processes_);
        auto process = std::make_unique<TargetProcess>([&] {
            auto target = Target::start(address, options_, nvmet_);
            if (!target.ok()) return std::string();
            static std::unique_ptr<Target> kept =
                target.take();  // for as long as the process lives
            for (uint32_t nsid = 1; nsid <= 3; ++nsid) {
                const std::string path = files_.file(number + "." + std::to_string(nsid), 4096);
                if (!kept->addFile(nsid, path, 4096).ok()) return std::string();
            }
            return kept->subsystemNqn();
        });
        EXPECT_NE(process->nqn(), "");
        return process;
    }

 private:
    int processes_ = 0;
};

// Case 16: killed, then started again. Case 46: without manual cleaning.
TEST_F(OrphanTest, AStartRemovesWhatADeadTargetLeft) {
    const TreeSnapshot before = snapshot();
    auto dead = startProcess();
    dead->kill();
    ASSERT_THAT(pathsWith(snapshot(), dead->nqn()), Not(IsEmpty()));
    auto target = start();
    EXPECT_THAT(pathsWith(snapshot(), dead->nqn()), IsEmpty());
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

TEST_F(OrphanTest, AStartLeavesLiveTargetsAlone) {
    auto live = startProcess();
    const TreeSnapshot before = snapshot();
    start({"tcp", "ipv4", "127.0.0.1", "4421"}).reset();
    EXPECT_EQ(snapshot(), before);
    start().reset();  // at the same address
    EXPECT_EQ(snapshot(), before);
}

TEST_F(OrphanTest, OnlyTheDeadOneGoesWhereTargetsShareAPort) {
    const TreeSnapshot empty = snapshot();
    auto live = startProcess();
    const TreeSnapshot before = snapshot();
    auto dead = startProcess();
    dead->kill();
    start({"tcp", "ipv4", "127.0.0.1", "4421"}).reset();
    EXPECT_EQ(snapshot(), before);
    live->kill();
    start().reset();
    EXPECT_EQ(snapshot(), empty);
}

TEST_F(OrphanTest, PortsAndHostsGoWithTheirLastDeadUser) {
    const TreeSnapshot before = snapshot();
    auto a = startProcess(), b = startProcess();
    a->kill();
    b->kill();
    auto target = start({"tcp", "ipv4", "127.0.0.1", "4421"});
    const TreeSnapshot running = snapshot();
    EXPECT_THAT(pathsWith(pathsWith(running, "referrals/"), "/enable"), SizeIs(1));
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

// The kernel may be waiting with that one's connections, and with the removal of any port.
TEST_F(OrphanTest, PortsStayWhileAnotherTargetComesOrGoes) {
    const auto ports = [this] {
        return pathsWith(pathsWith(snapshot(), "referrals/"), "/enable").size();
    };
    const TransportAddress here{"tcp", "ipv4", "127.0.0.1", "4421"};
    auto live = startProcess();
    auto dead = startProcess({"tcp", "ipv4", "127.0.0.1", "4422"});
    dead->kill();
    const std::string link = nvmetDir_.path() + "/ports/40000/subsystems/" + live->nqn();
    ASSERT_EQ(nvmet_->unlink(link), 0);
    start(here).reset();
    EXPECT_EQ(ports(), 2u) << "the dead one's has gone";
    ASSERT_EQ(nvmet_->link(nvmetDir_.path() + "/subsystems/" + live->nqn(), link), 0);
    start(here).reset();
    EXPECT_EQ(ports(), 1u);
}

// Case 17: links that somebody else made keep an orphan from going, and stay.
TEST_F(OrphanTest, KeepsWhatAStrangerLinked) {
    auto dead = startProcess();
    dead->kill();
    const std::string port = nvmetDir_.path() + "/ports/1";
    ASSERT_EQ(nvmet_->makeDir(port), 0);
    for (const auto& [name, value] : {std::pair{"trtype", "tcp"},
                                      {"adrfam", "ipv4"},
                                      {"traddr", "127.0.0.1"},
                                      {"trsvcid", "9999"}}) {
        ASSERT_EQ(nvmet_->writeFile(port + "/addr_" + name, value), 0);
    }
    ASSERT_EQ(nvmet_->link(nvmetDir_.path() + "/subsystems/" + dead->nqn(),
                           port + "/subsystems/" + dead->nqn()),
              0);
    start().reset();
    const TreeSnapshot left = snapshot();
    EXPECT_TRUE(left.contains("ports/1/subsystems/" + dead->nqn()));
    EXPECT_THAT(left, Not(Contains(Key("subsystems/" + dead->nqn() + "/namespaces/1"))));

    ASSERT_EQ(nvmet_->unlink(port + "/subsystems/" + dead->nqn()), 0);
    start().reset();
    EXPECT_THAT(pathsWith(snapshot(), dead->nqn()), IsEmpty());
}

TEST_F(OrphanTest, HalfMadeObjectsAreOrphansToo) {
    const TreeSnapshot before = snapshot();
    // Died right after each mkdir.
    const std::string root = nvmetDir_.path();
    const std::string subsystem = root + "/subsystems/" + newSubsystemNqn();
    ASSERT_EQ(nvmet_->makeDir(subsystem), 0);
    ASSERT_EQ(nvmet_->makeDir(subsystem + "/namespaces/5"), 0);
    ASSERT_EQ(nvmet_->makeDir(root + "/ports/40000"), 0);
    ASSERT_EQ(nvmet_->makeDir(root + "/ports/40000/referrals/mooncake-nvmeof-generic"), 0);
    ASSERT_EQ(nvmet_->makeDir(root + "/hosts/mooncake-nvmeof-generic.nqn.2014-08.org:h"), 0);
    start().reset();
    EXPECT_EQ(snapshot(), before);
}

// Without its mark a port could be anybody's: it stays, and is in nobody's way.
TEST_F(OrphanTest, LeavesAnUnmarkedPort) {
    ASSERT_EQ(nvmet_->makeDir(nvmetDir_.path() + "/ports/40000"), 0);
    const TreeSnapshot before = snapshot();
    auto target = start();
    EXPECT_NE(target, nullptr);
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

// Case 16: between its mkdir and its lock or mark, an object looks like an orphan, or a stranger's.
// Nobody looks then: who does, holds the lock on the tree.
TEST_F(OrphanTest, NothingIsTakenForAnOrphanWhileItIsMade) {
    size_t made = 0;
    nvmet_->afterMaking = [&](const std::string& path) {
        if (path.find("/namespaces/") != std::string::npos) return;
        ++made;
        ProcessFd lock;
        EXPECT_EQ(nvmet_->tryEnter(nvmetDir_.path() + "/hosts/mooncake-nvmeof-lock", lock),
                  EWOULDBLOCK)
            << path;
    };
    start().reset();
    EXPECT_EQ(made, 6u) << "subsystem with its record; port and host with their marks";
    nvmet_->afterMaking = nullptr;
}

TEST_F(OrphanTest, TwoTargetsOfOneProcessAreNotEachOthersOrphans) {
    auto a = start(), b = start();
    EXPECT_THAT(pathsWith(snapshot(), a->subsystemNqn()), Not(IsEmpty()));
    EXPECT_THAT(pathsWith(snapshot(), b->subsystemNqn()), Not(IsEmpty()));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
