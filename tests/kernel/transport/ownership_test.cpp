// SPDX-License-Identifier: Apache-2.0
// Whose the exports are: against users without privileges, heirs, and other namespaces.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "cluster.h"
#include "forked_child.h"
#include "kernel_state.h"
#include "target_process.h"

namespace {

using namespace mooncake;
using namespace test_support;
namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr size_t kSize = 1 << 20;
const std::string kNvmet = "/sys/kernel/config/nvmet";
const std::vector<std::string> kFolders = {kNvmet + "/subsystems", kNvmet + "/ports",
                                           kNvmet + "/hosts"};

std::vector<std::string> namesIn(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
        names.push_back(entry.path().filename());
    }
    return names;
}

std::string theOnlySubsystem() {
    const auto names = namesIn(kFolders[0]);
    EXPECT_EQ(names.size(), 1u);
    return names.empty() ? "" : kFolders[0] + "/" + names[0];
}

std::string admin(const std::string& command) {
    ChildProcess program({"nvmeof_generic_admin", command});
    EXPECT_EQ(program.wait(), 0) << program.output();
    return program.output();
}

void becomeNobody() {
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(98);
}

mode_t modeOf(const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

class OwnershipTest : public ::testing::Test {
 protected:
    OwnershipTest() : objects_(nvmetObjects()) {
        makeFile(file_, kSize);
        makeFile(other_, kSize);
        // As before the first target of the machine.
        for (const std::string& folder : kFolders) EXPECT_EQ(chmod(folder.c_str(), 0755), 0);
    }
    ~OwnershipTest() override { EXPECT_EQ(nvmetObjects(), objects_); }

    // A target in a child, which says its subsystem's NQN.
    static int serve(
        const std::string& url, const std::string& name, const std::string& file,
        const ForkedChild::Say& say, const std::function<void()>& then = [] {}) {
        static std::unique_ptr<TransferEngine> engine;
        engine = std::make_unique<TransferEngine>();
        if (engine->init(url, name) != 0) return 1;
        std::string arguments = targetAddress("tcp");
        void* args[] = {arguments.data()};
        if (engine->installTransport("nvmeof_generic", args) == nullptr) return 2;
        FileBufferID id = 0;
        if (engine->registerLocalFile(file, kSize, id) != 0) return 3;
        then();
        say(engine->getMetadata()
                ->getSegmentDescByID(LOCAL_SEGMENT_ID)
                ->nvmeof_generic_trid.subnqn);
        stay();
    }

    const std::string file_ = testFolder() + "/owned", other_ = testFolder() + "/other";
    const std::set<std::string> objects_;
    MetadataServer metadata_;
};

// flock(2) takes no more than the right to read.
TEST_F(OwnershipTest, NobodyStopsNoTarget) {
    ForkedChild attacker([](const ForkedChild::Say& say) {
        becomeNobody();
        for (const std::string& folder : kFolders) {
            const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY);
            if (fd < 0 || flock(fd, LOCK_SH) != 0) return 1;
        }
        const int root = open(kNvmet.c_str(), O_RDONLY | O_DIRECTORY);
        if (root < 0 || flock(root, LOCK_EX) != 0) return 2;
        say("locked");
        stay();
    });
    ASSERT_EQ(attacker.line(), "locked");
    {
        TargetProcess target(metadata_, file_, "4420");
        ASSERT_TRUE(target.ready());
        target.signal(SIGTERM);
        EXPECT_EQ(target.wait(), 0) << target.output();
        EXPECT_EQ(nvmetObjects(), objects_);
    }
    TargetProcess killed(metadata_, file_, "4420");
    ASSERT_TRUE(killed.ready());
    killed.signal(SIGKILL);
    killed.wait();
    EXPECT_THAT(admin("list"), HasSubstr("dead"));
    EXPECT_THAT(admin("clean"), HasSubstr("removed "));
    EXPECT_EQ(nvmetObjects(), objects_);
}

// Nor does he keep a dead one alive: neither with what he opens then, nor from folders that he had
// opened before, nor where he is at once at each new object.
TEST_F(OwnershipTest, NobodyKeepsNoDeadTargetAlive) {
    ForkedChild attacker([](const ForkedChild::Say& say) {
        becomeNobody();
        const int events = inotify_init1(IN_NONBLOCK);
        std::vector<int> opened;
        for (const std::string& folder : kFolders) {
            const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY);
            if (fd < 0 || inotify_add_watch(events, folder.c_str(), IN_CREATE) < 0) return 1;
            opened.push_back(fd);
        }
        say("watching");
        // Whatever the kernel tells him of new names, he does not get there.
        int seen = 0;
        while (true) {
            pollfd wait{events, POLLIN, 0};
            poll(&wait, 1, 1);
            alignas(inotify_event) char buffer[8192];
            const ssize_t length = read(events, buffer, sizeof(buffer));
            for (ssize_t at = 0; at < length;) {
                const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
                at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
                for (size_t i = 0; i < opened.size(); ++i) {
                    for (const int flags : {O_RDONLY | O_DIRECTORY, O_PATH}) {
                        if (openat(opened[i], event->name, flags) >= 0) return 77;
                        if (open((kFolders[i] + "/" + event->name).c_str(), flags) >= 0) return 78;
                    }
                }
                if (++seen == 1) say("seen");
            }
        }
    });
    ASSERT_EQ(attacker.line(), "watching");
    std::string dead;
    for (int i = 0; i < 5; ++i) {
        TargetProcess target(metadata_, file_, "4420");
        ASSERT_TRUE(target.ready());
        if (!dead.empty()) {
            EXPECT_FALSE(fs::exists(dead));
        }
        dead = theOnlySubsystem();
        target.signal(SIGKILL);
        target.wait();
    }
    ForkedChild late([&](const ForkedChild::Say&) {
        becomeNobody();
        return open(dead.c_str(), O_RDONLY | O_DIRECTORY) >= 0 ? 1 : errno == EACCES ? 0 : 2;
    });
    EXPECT_EQ(late.wait(), 0);
    EXPECT_EQ(attacker.line(), "seen") << "the attack has not taken place";
    admin("clean");
    EXPECT_FALSE(fs::exists(dead));
    int status = 0;
    EXPECT_EQ(waitpid(attacker.pid(), &status, WNOHANG), 0) << "he got in: " << WEXITSTATUS(status);
}

TEST_F(OwnershipTest, FoldersStayClosed) {
    TargetProcess target(metadata_, file_, "4420");
    ASSERT_TRUE(target.ready());
    for (const std::string& folder : kFolders) EXPECT_EQ(modeOf(folder), 0700u) << folder;
    for (const char* what : {"2", "3"}) {
        std::ofstream("/proc/sys/vm/drop_caches") << what << std::flush;
        for (const std::string& folder : kFolders) EXPECT_EQ(modeOf(folder), 0700u) << folder;
    }
    target.signal(SIGTERM);
    EXPECT_EQ(target.wait(), 0);
    std::ofstream("/proc/sys/vm/drop_caches") << "3" << std::flush;
    for (const std::string& folder : kFolders) EXPECT_EQ(modeOf(folder), 0700u) << folder;
}

// A worker that a target has forked lives on, as with Python's multiprocessing; or a copy of the
// process that nobody told the C library of.
TEST_F(OwnershipTest, AForkedWorkerKeepsNothingAlive) {
    for (const bool pastTheLibrary : {false, true}) {
        pid_t worker = 0;
        std::string dead;
        {
            ForkedChild parent([&](const ForkedChild::Say& say) {
                return serve(metadata_.url(), "parent", file_, say, [&] {
                    static ForkedChild child([](const ForkedChild::Say&) -> int { stay(); },
                                             pastTheLibrary);
                    say(std::to_string(child.pid()));
                });
            });
            worker = std::stoi(parent.line());
            dead = kFolders[0] + "/" + parent.line();
            ASSERT_TRUE(fs::exists(dead));
            EXPECT_THAT(admin("list"),
                        AllOf(HasSubstr("alive, process " + std::to_string(parent.pid())),
                              HasSubstr(file_)));
        }
        EXPECT_EQ(kill(worker, 0), 0);
        EXPECT_THAT(admin("list"), HasSubstr("dead, process "));
        TargetProcess next(metadata_, other_, "4420");
        ASSERT_TRUE(next.ready());
        EXPECT_FALSE(fs::exists(dead));
        EXPECT_EQ(namesIn(kFolders[0]).size(), 1u);
        next.signal(SIGTERM);
        EXPECT_EQ(next.wait(), 0);
        kill(worker, SIGKILL);
        // The port of the copy goes when it does.
        EXPECT_TRUE(eventually([&] {
            admin("clean");
            return nvmetObjects() == objects_;
        }));
    }
}

// What runs in the process now is not what made the exports.
TEST_F(OwnershipTest, AnotherProgramInTheProcessOwnsNothing) {
    ForkedChild parent([&](const ForkedChild::Say& say) {
        return serve(metadata_.url(), "parent", file_, say, [&] {
            say("ready");
            execlp("sleep", "sleep", "1000", nullptr);
            _exit(97);
        });
    });
    ASSERT_EQ(parent.line(), "ready");
    EXPECT_TRUE(eventually([&] {
        std::ifstream name("/proc/" + std::to_string(parent.pid()) + "/comm");
        std::string comm;
        return std::getline(name, comm) && comm == "sleep";
    }));
    EXPECT_THAT(admin("list"), HasSubstr("dead"));
    EXPECT_THAT(admin("clean"), HasSubstr("removed "));
    EXPECT_EQ(nvmetObjects(), objects_);
}

void bringUpLoopback() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) _exit(96);
    close(fd);
}

// Whether the kernel connects from here.
bool connects(const std::string& nqn) {
    const std::string id = "4d2f4b3a-9c7e-4f0a-8a55-0c1d2e3f4a5b";
    const std::string options = "nqn=" + nqn +
                                ",transport=tcp,traddr=127.0.0.1,trsvcid=4420,hostnqn=nqn.2014-08."
                                "org.nvmexpress:uuid:" +
                                id + ",hostid=" + id;
    const int fd = open("/dev/nvme-fabrics", O_RDWR | O_CLOEXEC);
    const bool connected = write(fd, options.data(), options.size()) > 0;
    char answer[200] = {};
    int instance = -1;
    if (connected && read(fd, answer, sizeof(answer) - 1) > 0 &&
        sscanf(answer, "instance=%d", &instance) == 1) {
        std::ofstream("/sys/class/nvme/nvme" + std::to_string(instance) + "/delete_controller")
            << "1";
    }
    close(fd);
    return connected;
}

// Two containers that have an address in common, as all have 127.0.0.1: each is served in its own
// network, and in no other.
TEST_F(OwnershipTest, NetworkNamespacesShareNoPort) {
    TargetProcess host(metadata_, other_, "4420");
    ASSERT_TRUE(host.ready());
    const std::string hostNqn = namesIn(kFolders[0])[0];
    {
        ForkedChild container([&](const ForkedChild::Say& say) {
            if (unshare(CLONE_NEWNET) != 0) return 95;
            bringUpLoopback();
            return serve(P2PHANDSHAKE, "127.0.0.1:17000", file_, say,
                         [&] { say(connects(hostNqn) ? "it reaches the host's" : "apart"); });
        });
        EXPECT_EQ(container.line(), "apart");
        const std::string nqn = container.line();
        EXPECT_EQ(namesIn(kFolders[1]).size(), 2u) << "each has a port of its own";
        EXPECT_FALSE(connects(nqn)) << "the container's files are served here";
        EXPECT_TRUE(connects(hostNqn));
        EXPECT_THAT(admin("list"), HasSubstr("alive, process " + std::to_string(container.pid())));
        // In its own network it is reached.
        ForkedChild neighbour([&](const ForkedChild::Say&) {
            const std::string path = "/proc/" + std::to_string(container.pid()) + "/ns/net";
            if (setns(open(path.c_str(), O_RDONLY | O_CLOEXEC), CLONE_NEWNET) != 0) return 95;
            return connects(nqn) && !connects(hostNqn) ? 0 : 1;
        });
        EXPECT_EQ(neighbour.wait(), 0);
    }
    admin("clean");
    EXPECT_EQ(namesIn(kFolders[1]).size(), 1u) << "the dead container's port goes";
    EXPECT_TRUE(connects(hostNqn));
    host.signal(SIGTERM);
    EXPECT_EQ(host.wait(), 0);
}

// A container with processes of its own: the host sees them, and what they leave.
TEST_F(OwnershipTest, ThePidNamespacesOfContainers) {
    ForkedChild outer([&](const ForkedChild::Say& say) {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return 95;
        if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 94;
        ForkedChild inner([&](const ForkedChild::Say&) {
            if (mount("proc", "/proc", "proc", 0, nullptr) != 0) return 93;
            // The next number is another process's outside.
            ForkedChild target([&](const ForkedChild::Say&) {
                return serve(metadata_.url(), "inside", file_, say);
            });
            return target.wait();
        });
        return inner.wait();
    });
    const std::string nqn = outer.line();
    ASSERT_NE(nqn, "");
    const std::string seen = admin("list");
    EXPECT_THAT(seen, AllOf(HasSubstr("alive, process "), HasSubstr(file_)));
    const size_t at = seen.find("alive, process ") + strlen("alive, process ");
    const pid_t pid = std::atoi(seen.c_str() + at);
    EXPECT_GT(pid, outer.pid()) << seen;
    EXPECT_EQ(admin("clean"), "nothing to remove\n");
    TargetProcess next(metadata_, other_, "4420");
    ASSERT_TRUE(next.ready());
    EXPECT_TRUE(fs::exists(kFolders[0] + "/" + nqn)) << "it lives";
    next.signal(SIGTERM);
    EXPECT_EQ(next.wait(), 0);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_NE(outer.wait(), -1);
    EXPECT_THAT(admin("list"), HasSubstr("dead, process "));
    EXPECT_THAT(admin("clean"), HasSubstr("removed "));
}

// Another manager of nvmet clears the tree, or changes what is ours, while we serve: what cannot be
// reached any more is withdrawn, so that nobody looks for it in vain.
TEST_F(OwnershipTest, WhatOthersRemoveIsWithdrawn) {
    Node target(metadata_, "target", targetAddress("tcp"));
    ASSERT_NE(target.add(file_, kSize), 0u);
    const uint32_t second = target.add(other_, kSize);
    const std::string subsystem = theOnlySubsystem();
    const auto published = [&] {
        const auto desc = TransferMetadata(metadata_.url()).getSegmentDesc("target");
        return desc ? desc->file_buffers.size() : 99;
    };
    EXPECT_EQ(published(), 2u);
    std::ofstream(subsystem + "/namespaces/" + std::to_string(second) + "/enable")
        << "0" << std::flush;
    EXPECT_TRUE(eventually([&] { return published() == 1; }));
    const std::string port = kFolders[1] + "/" + namesIn(kFolders[1])[0];
    EXPECT_EQ(unlink((port + "/subsystems/" + fs::path(subsystem).filename().string()).c_str()), 0);
    EXPECT_EQ(rmdir((subsystem + "/namespaces/1").c_str()), 0);
    EXPECT_TRUE(eventually([&] { return rmdir(subsystem.c_str()) == 0 || errno == ENOENT; }));
    EXPECT_TRUE(eventually([&] { return published() == 0; }));
    target.end();
}

}  // namespace
