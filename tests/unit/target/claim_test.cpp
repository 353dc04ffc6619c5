// SPDX-License-Identifier: Apache-2.0
// Whose a subsystem is, and whether he lives.
#include "claim.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "orphans.h"
#include "owner.h"
#include "port.h"
#include "subsystem.h"
#include "target_fixture.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// A process that starts, says that it has, and stays.
class Process {
 public:
    explicit Process(const std::function<void()>& work, bool pastTheLibrary = false) {
        int ends[2];
        EXPECT_EQ(pipe(ends), 0);
        pid_ =
            pastTheLibrary ? static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) : fork();
        if (pid_ == 0) {
            work();
            if (write(ends[1], "x", 1) != 1) _exit(1);
            while (true) pause();
        }
        close(ends[1]);
        char c;
        EXPECT_EQ(read(ends[0], &c, 1), 1);
        close(ends[0]);
    }
    ~Process() {
        kill();
        reap();
    }
    pid_t pid() const { return pid_; }
    void kill() { ::kill(pid_, SIGKILL); }
    void reap() {
        if (!reaped_) waitpid(pid_, nullptr, 0);
        reaped_ = true;
    }

 private:
    pid_t pid_;
    bool reaped_ = false;
};

Life lifeOf(const Owner& owner) {
    return lookAt(owner, "/proc").life;
}

TEST(Owner, ThisProcessLives) {
    const auto self = Owner::self();
    ASSERT_TRUE(self.ok()) << self.error().message;
    EXPECT_EQ(self.value().pid, getpid());
    EXPECT_GT(self.value().start, 0u);
    EXPECT_GT(self.value().image, 0u);
    EXPECT_GT(self.value().pidNamespace, 0u);
    EXPECT_EQ(self.value().network, networkNamespace());
    EXPECT_EQ(lifeOf(self.value()), Life::kAlive);
    EXPECT_EQ(lookAt(self.value(), "/proc").pid, getpid());
    std::string text = self.value().toText() + "rest";
    std::string_view rest = text;
    EXPECT_EQ(Owner::take(rest), self.value());
    EXPECT_EQ(rest, "rest");
}

TEST(Owner, IsNoTextOfAnotherKind) {
    for (const char* text :
         {"", "1", "1.2.3.4.5.", "1.2.3.4.5.x.", "1.2.3.-4.5.6.", "a.2.3.4.5.6."}) {
        std::string_view rest = text;
        EXPECT_EQ(Owner::take(rest), std::nullopt) << text;
    }
}

// The number alone proves nothing: it is given again.
TEST(Owner, AnotherProcessOfThatNumberIsNotIt) {
    Owner owner = Owner::self().take();
    ++owner.start;
    EXPECT_EQ(lifeOf(owner), Life::kDead);
}

// Nor does the process, when it runs another program.
TEST(Owner, AnotherProgramInThatProcessIsNotIt) {
    Owner owner = Owner::self().take();
    owner.image += 4096;
    EXPECT_EQ(lifeOf(owner), Life::kDead);
}

TEST(Owner, IsDeadBeforeItsParentNotices) {
    Process process([] {});
    Owner owner = Owner::self().take();
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Process other([&] {
        const Owner own = Owner::self().take();
        if (write(ends[1], &own, sizeof(own)) != sizeof(own)) _exit(1);
    });
    ASSERT_EQ(read(ends[0], &owner, sizeof(owner)), static_cast<ssize_t>(sizeof(owner)));
    close(ends[0]);
    close(ends[1]);
    EXPECT_EQ(owner.pid, other.pid());
    EXPECT_EQ(lifeOf(owner), Life::kAlive);
    other.kill();
    siginfo_t info;
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(other.pid()), &info, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(lifeOf(owner), Life::kDead) << "a zombie";
    other.reap();
    EXPECT_EQ(lifeOf(owner), Life::kDead);
}

// A process that ends between the opening and the reading of what /proc says of it fails the
// latter.
TEST(Owner, OneThatCannotBeReadIsNotKnownAndNoException) {
    Owner owner = Owner::self().take();
    const TempDir proc;
    const std::string self = proc.path() + "/" + std::to_string(getpid());
    const std::string other = proc.path() + "/1234567";
    for (const std::string& made : {self, other, other + "/stat"}) {
        std::filesystem::create_directory(made);
    }
    std::filesystem::create_symlink("/proc/self/ns", self + "/ns");
    std::filesystem::create_symlink(std::to_string(getpid()), proc.path() + "/self");
    owner.pid = 1234567;
    EXPECT_EQ(lookAt(owner, proc.path()).life, Life::kUnknown);
    std::filesystem::remove(other + "/stat");
    EXPECT_EQ(lookAt(owner, proc.path()).life, Life::kDead);
    std::ofstream(other + "/stat").close();
    EXPECT_EQ(lookAt(owner, proc.path()).life, Life::kDead);
}

TEST(Owner, OfOtherNamespacesNothingIsKnown) {
    struct stat pids;
    ASSERT_EQ(stat("/proc/self/ns/pid", &pids), 0);
    Owner owner = Owner::self().take();
    owner.pidNamespace = 1;
    // The initial namespace (PROC_PID_INIT_INO) sees all others, and there root does.
    if (pids.st_ino != 0xEFFFFFFC) {
        EXPECT_EQ(lifeOf(owner), Life::kUnknown);
    } else {
        EXPECT_NE(lifeOf(owner), Life::kAlive);
    }
    owner = Owner::self().take();
    ++owner.timeNamespace;
    EXPECT_EQ(lifeOf(owner), Life::kUnknown);
    owner = Owner::self().take();
    EXPECT_EQ(lookAt(owner, "/nowhere").life, Life::kUnknown);
}

class ClaimTest : public TargetTest {
 protected:
    std::unique_ptr<Claim> make() {
        const auto lock = TreeLock::acquire(tree_);
        auto made = Claim::make(tree_, lock.value(), nqn_);
        EXPECT_TRUE(made.ok()) << made.error().message;
        return made.ok() ? made.take() : nullptr;
    }
    Result<std::unique_ptr<Claim>> takeOver() {
        const auto lock = TreeLock::acquire(tree_);
        return Claim::takeOver(tree_, lock.value(), nqn_);
    }
    Life life() {
        const auto lock = TreeLock::acquire(tree_);
        return Claim::lookAt(tree_, lock.value(), nqn_).life;
    }
    std::vector<std::string> records() {
        std::vector<std::string> names;
        EXPECT_EQ(nvmet_->list(tree_.hosts(), names), 0);
        std::erase_if(names, [](const std::string& name) {
            return !name.starts_with("mooncake-nvmeof-owner.");
        });
        return names;
    }
    void removeRecords() {
        for (const std::string& name : records()) nvmet_->removeDir(tree_.host(name));
    }

    const NvmetTree tree_{nvmet_, nvmetDir_.path()};
    const std::string nqn_ = newSubsystemNqn();
};

TEST_F(ClaimTest, OfALiveOwner) {
    auto claim = make();
    EXPECT_EQ(life(), Life::kAlive);
    EXPECT_EQ(errorOf(takeOver()).code, EWOULDBLOCK);
    ASSERT_THAT(records(), SizeIs(1));
    EXPECT_TRUE(records()[0].ends_with("." + nqn_));
}

TEST_F(ClaimTest, GivenUpIsAnybodys) {
    make().reset();
    EXPECT_THAT(records(), IsEmpty());
    EXPECT_EQ(life(), Life::kDead);
    auto taken = takeOver();
    ASSERT_TRUE(taken.ok()) << taken.error().message;
    EXPECT_EQ(life(), Life::kAlive);
    ASSERT_EQ(nvmet_->removeDir(tree_.subsystem(nqn_)), 0);
    EXPECT_TRUE(taken.value()->end().ok());
    EXPECT_THAT(records(), IsEmpty());
}

// A lock is lost with its descriptor, and a program may close descriptors that it does not know.
TEST_F(ClaimTest, OutlivesItsLock) {
    auto claim = make();
    ProcessFd lock;
    ASSERT_EQ(nvmet_->tryLock(tree_.subsystem(nqn_), ConfigTree::LockMode::kShared, lock),
              EWOULDBLOCK);
    struct stat wanted, found;
    ASSERT_EQ(stat(tree_.subsystem(nqn_).c_str(), &wanted), 0);
    for (int fd = 3; fd < 1024; ++fd) {
        if (fstat(fd, &found) == 0 && found.st_ino == wanted.st_ino) close(fd);
    }
    EXPECT_EQ(nvmet_->tryLock(tree_.subsystem(nqn_), ConfigTree::LockMode::kShared, lock), 0);
    lock.reset();
    EXPECT_EQ(life(), Life::kAlive);
    EXPECT_EQ(errorOf(takeOver()).code, EWOULDBLOCK);
}

// A snapshot of a process, which the C library knows nothing of, has all its descriptors.
TEST_F(ClaimTest, AnHeirOfTheLockIsNoOwner) {
    std::unique_ptr<Process> heir;
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    {
        Process owner([&] {
            static std::unique_ptr<Claim> claim = make();
            static Process child([] {}, true);
            const pid_t pid = child.pid();
            if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
        });
        EXPECT_EQ(life(), Life::kAlive);
    }
    pid_t child = 0;
    ASSERT_EQ(read(ends[0], &child, sizeof(child)), static_cast<ssize_t>(sizeof(child)));
    close(ends[0]);
    close(ends[1]);
    ProcessFd lock;
    EXPECT_EQ(nvmet_->tryLock(tree_.subsystem(nqn_), ConfigTree::LockMode::kShared, lock),
              EWOULDBLOCK)
        << "the heir holds it";
    EXPECT_EQ(life(), Life::kDead);
    auto taken = takeOver();
    ASSERT_TRUE(taken.ok()) << taken.error().message;
    EXPECT_EQ(life(), Life::kAlive) << "of the one who took over";
    ASSERT_THAT(records(), SizeIs(2));
    ASSERT_EQ(nvmet_->removeDir(tree_.subsystem(nqn_)), 0);
    EXPECT_TRUE(taken.value()->end().ok());
    EXPECT_THAT(records(), IsEmpty());
    ::kill(child, SIGKILL);
}

// Where the record does not tell, the lock does: that of an earlier version, which made none.
TEST_F(ClaimTest, WithoutARecordTheLockDecides) {
    auto claim = make();
    removeRecords();
    EXPECT_EQ(life(), Life::kAlive);
    EXPECT_EQ(errorOf(takeOver()).code, EWOULDBLOCK);
    claim.reset();
    EXPECT_EQ(life(), Life::kDead);
}

TEST_F(ClaimTest, OfAnotherPidNamespaceTheLockDecides) {
    auto claim = make();
    const std::string own = records()[0];
    Owner elsewhere = Owner::self().take();
    ++elsewhere.timeNamespace;  // cannot be judged, wherever this test runs
    removeRecords();
    ASSERT_EQ(nvmet_->makeDir(tree_.host("mooncake-nvmeof-owner." + elsewhere.toText() + nqn_)), 0);
    EXPECT_EQ(life(), Life::kAlive);
    claim.reset();
    EXPECT_EQ(life(), Life::kDead);
}

TEST_F(ClaimTest, RecordsWithoutASubsystemGo) {
    Owner gone = Owner::self().take();
    ++gone.start;
    for (const std::string& text : {gone.toText(), Owner::self().take().toText()}) {
        ASSERT_EQ(nvmet_->makeDir(tree_.host("mooncake-nvmeof-owner." + text + nqn_)), 0);
    }
    start().reset();
    EXPECT_THAT(records(), IsEmpty());
}

// Between a subsystem's link and its end lies the end of its disks' I/O; meanwhile the removal of
// any port would wait for them.
TEST_F(ClaimTest, PortsWaitWhileAnotherProcessRemovesASubsystem) {
    const std::string port = tree_.port("40000");
    const std::string mark =
        port + "/referrals/mooncake-nvmeof-generic." + std::to_string(networkNamespace());
    ASSERT_EQ(nvmet_->makeDir(port), 0);
    ASSERT_EQ(nvmet_->makeDir(mark), 0);
    auto unserved = Subsystem::create(tree_, nqn_, true);
    ASSERT_TRUE(unserved.ok());
    EXPECT_THAT(removeOrphans(tree_, std::chrono::seconds(1)).removed, IsEmpty());
    EXPECT_EQ(nvmet_->exists(port), 0);
    EXPECT_TRUE(unserved.value()->remove().ok());
    EXPECT_THAT(removeOrphans(tree_, std::chrono::seconds(1)).removed, testing::ElementsAre(port));
}

class NetworkTest : public ClaimTest {
 protected:
    // In use at the same address by a target of another network namespace, or an earlier version.
    ProcessFd makePort(const std::string& mark) {
        const std::string port = tree_.port("40000");
        EXPECT_EQ(nvmet_->makeDir(port), 0);
        EXPECT_EQ(nvmet_->makeDir(port + "/referrals/" + mark), 0);
        for (const auto& [name, value] : {std::pair{"trtype", "tcp"},
                                          {"adrfam", "ipv4"},
                                          {"traddr", "127.0.0.1"},
                                          {"trsvcid", "4420"}}) {
            EXPECT_EQ(nvmet_->writeFile(port + "/addr_" + name, value), 0);
        }
        ProcessFd user;
        EXPECT_EQ(nvmet_->tryLock(port, ConfigTree::LockMode::kShared, user), 0);
        return user;
    }
    std::vector<std::string> ports() {
        std::vector<std::string> ids;
        EXPECT_EQ(nvmet_->list(tree_.ports(), ids), 0);
        return ids;
    }
};

TEST_F(NetworkTest, APortOfAnotherOneIsNotShared) {
    for (const std::string& mark :
         {"mooncake-nvmeof-generic." + std::to_string(networkNamespace() + 1),
          std::string("mooncake-nvmeof-generic")}) {
        ProcessFd user = makePort(mark);
        auto target = start();
        ASSERT_NE(target, nullptr);
        EXPECT_TRUE(snapshot().contains("ports/40001/subsystems/" + target->subsystemNqn()));
        EXPECT_THAT(pathsWith(snapshot(), "ports/40000/subsystems/"), IsEmpty());
        target.reset();
        EXPECT_THAT(ports(), testing::ElementsAre("40000")) << "its user lives";
        user.reset();
        start({"tcp", "ipv4", "127.0.0.1", "4421"}).reset();
        EXPECT_THAT(ports(), IsEmpty());
    }
}

TEST_F(NetworkTest, APortOfTheSameOneIsShared) {
    ProcessFd user = makePort("mooncake-nvmeof-generic." + std::to_string(networkNamespace()));
    auto target = start();
    ASSERT_NE(target, nullptr);
    EXPECT_TRUE(snapshot().contains("ports/40000/subsystems/" + target->subsystemNqn()));
}

// It listens elsewhere: not it is in the way, but a program.
TEST_F(NetworkTest, APortOfAnotherOneIsNotInTheWay) {
    ProcessFd user = makePort("mooncake-nvmeof-generic." + std::to_string(networkNamespace() + 1));
    nvmet_->taken.insert("127.0.0.1:4420");
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_THAT(error.message, Not(testing::HasSubstr("ports/40000")));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
