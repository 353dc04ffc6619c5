// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/target/target.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "failing_tree.h"
#include "owner.h"
#include "target_fixture.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr uint64_t kMiB = 1 << 20;

TEST_F(TargetTest, MakesWhatItNeedsAndRemovesIt) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    ASSERT_NE(target, nullptr);
    const std::string nqn = target->subsystemNqn();
    EXPECT_TRUE(isOwnSubsystemNqn(nqn));
    EXPECT_EQ(target->address(), kLoopback);

    const TreeSnapshot running = snapshot();
    EXPECT_EQ(running.at("subsystems/" + nqn + "/attr_allow_any_host"), "1\n");
    EXPECT_EQ(running.at("subsystems/" + nqn + "/attr_model"), "Mooncake file segment\n");
    EXPECT_EQ(running.at("ports/40000/addr_trtype"), "tcp\n");
    EXPECT_EQ(running.at("ports/40000/addr_adrfam"), "ipv4\n");
    EXPECT_EQ(running.at("ports/40000/addr_traddr"), "127.0.0.1\n");
    EXPECT_EQ(running.at("ports/40000/addr_trsvcid"), "4420\n");
    EXPECT_EQ(running.at("ports/40000/subsystems/" + nqn),
              "-> " + nvmetDir_.path() + "/subsystems/" + nqn);
    // The mark is no referral that anybody is told of.
    EXPECT_EQ(running.at("ports/40000/referrals/mooncake-nvmeof-generic." +
                         std::to_string(networkNamespace()) + "/enable"),
              "0\n");

    target.reset();
    EXPECT_EQ(snapshot(), before);
}

TEST_F(TargetTest, HasANewNameEachTime) {
    const std::string first = start()->subsystemNqn();
    EXPECT_NE(start()->subsystemNqn(), first);
}

TEST_F(TargetTest, ExportsAFile) {
    auto target = start();
    const std::string path = files_.file("file", kMiB);
    const auto exported = target->addFile(7, path, kMiB);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported.value().nsid, 7u);
    EXPECT_EQ(exported.value().path, path);
    EXPECT_EQ(exported.value().size, kMiB);
    EXPECT_EQ(exported.value().blockSize, 4096u);

    const TreeSnapshot running = snapshot();
    const std::string ns = "subsystems/" + target->subsystemNqn() + "/namespaces/7";
    EXPECT_EQ(running.at(ns + "/enable"), "1\n");
    EXPECT_EQ(running.at(ns + "/device_uuid"), namespaceUuid(target->subsystemNqn(), 7) + "\n");
    // Case 13: by the descriptor that was judged, not by name.
    EXPECT_THAT(running.at(ns + "/device_path"), HasSubstr("/proc/self/fd/"));

    ASSERT_TRUE(target->removeFile(7).ok());
    EXPECT_THAT(pathsWith(snapshot(), "/namespaces/"), IsEmpty());
}

TEST_F(TargetTest, RemovesItsFilesAtTheEnd) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    for (uint32_t nsid = 1; nsid <= 40; ++nsid) {
        const std::string path = files_.file(std::to_string(nsid), 4096);
        ASSERT_TRUE(target->addFile(nsid, path, 4096).ok());
    }
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

// Case 7: size 0, beyond the file, not a multiple of the block.
TEST_F(TargetTest, ChecksTheSize) {
    auto target = start();
    const std::string path = files_.file("file", kMiB + 100);
    const TreeSnapshot before = snapshot();
    EXPECT_EQ(errorOf(target->addFile(1, path, 0)).code, EINVAL);
    EXPECT_EQ(errorOf(target->addFile(1, path, kMiB + 101)).code, EINVAL);
    EXPECT_EQ(errorOf(target->addFile(1, files_.file("empty", 0), 1)).code, EINVAL);
    EXPECT_EQ(snapshot(), before);
    const auto exported = target->addFile(1, path, kMiB + 100);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported.value().size, kMiB);
}

// Case 8 needs loop devices: without them there is no export rather than one that is too large.
TEST_F(TargetTest, DoesNotExportMoreThanAskedForWantOfLoopDevices) {
    auto target = start();
    const TreeSnapshot before = snapshot();
    const Error error = errorOf(target->addFile(1, files_.file("file", kMiB), kMiB / 2));
    EXPECT_EQ(error.code, ENOENT);
    EXPECT_THAT(error.message, HasSubstr("modprobe loop"));
    EXPECT_EQ(snapshot(), before);
}

// Case 12: the same file by another path or hard link.
TEST_F(TargetTest, ExportsAFileOnce) {
    auto target = start();
    const std::string path = files_.file("file", kMiB);
    std::filesystem::create_hard_link(path, files_.path() + "/hard");
    std::filesystem::create_symlink(path, files_.path() + "/soft");
    ASSERT_TRUE(target->addFile(1, path, kMiB).ok());
    const TreeSnapshot before = snapshot();
    for (const char* name : {"/file", "/hard", "/soft", "/./file"}) {
        const Error error = errorOf(target->addFile(2, files_.path() + name, kMiB));
        EXPECT_EQ(error.code, EEXIST);
        EXPECT_THAT(error.message, HasSubstr("namespace 1 under the name '" + path + "'"));
    }
    EXPECT_EQ(snapshot(), before);
    ASSERT_TRUE(target->removeFile(1).ok());
    EXPECT_TRUE(target->addFile(2, files_.path() + "/hard", kMiB).ok());
}

TEST_F(TargetTest, NeverGivesAnNsidToAnotherFile) {
    auto target = start();
    const std::string a = files_.file("a", kMiB), b = files_.file("b", kMiB);
    ASSERT_TRUE(target->addFile(1, a, kMiB).ok());
    EXPECT_EQ(errorOf(target->addFile(1, b, kMiB)).code, EEXIST);
    ASSERT_TRUE(target->removeFile(1).ok());
    EXPECT_EQ(errorOf(target->addFile(1, b, kMiB)).code, EEXIST);
    EXPECT_EQ(errorOf(target->addFile(1, a, kMiB)).code, EEXIST);
    // One that no remote host ever saw is still free.
    EXPECT_EQ(errorOf(target->addFile(2, files_.path() + "/missing", kMiB)).code, ENOENT);
    EXPECT_EQ(errorOf(target->addFile(2, b, 2 * kMiB)).code, EINVAL);
    EXPECT_TRUE(target->addFile(2, b, kMiB).ok());
}

TEST_F(TargetTest, ChecksTheNsid) {
    auto target = start();
    const std::string path = files_.file("file", kMiB);
    EXPECT_EQ(errorOf(target->addFile(0, path, kMiB)).code, EINVAL);
    EXPECT_EQ(errorOf(target->addFile(0xffffffff, path, kMiB)).code, EINVAL);
    EXPECT_TRUE(target->addFile(0xfffffffe, path, kMiB).ok());
    EXPECT_EQ(errorOf(target->removeFile(3)).code, ENOENT);
    ASSERT_TRUE(target->removeFile(0xfffffffe).ok());
    EXPECT_EQ(errorOf(target->removeFile(0xfffffffe)).code, ENOENT);
}

// Case 20: 1024 files, and one more.
TEST_F(TargetTest, Exports1024Files) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    for (uint32_t nsid = 1; nsid <= 1024; ++nsid) {
        const auto added = target->addFile(nsid, files_.file(std::to_string(nsid), 4096), 4096);
        ASSERT_TRUE(added.ok()) << added.error().message;
    }
    const std::string more = files_.file("more", 4096);
    const TreeSnapshot full = snapshot();
    const Error error = errorOf(target->addFile(1025, more, 4096));
    EXPECT_EQ(error.code, EMFILE);
    EXPECT_THAT(error.message, HasSubstr("1024"));
    EXPECT_EQ(snapshot(), full);
    ASSERT_TRUE(target->removeFile(500).ok());
    EXPECT_TRUE(target->addFile(1025, more, 4096).ok());
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

// Descriptors are for requests, not for files that just lie there.
TEST_F(TargetTest, HoldsNoDescriptorPerRegularFile) {
    const auto openFiles = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    auto target = start();
    // The first one brings what watches over all of them.
    ASSERT_TRUE(target->addFile(1, files_.file("1", 4096), 4096).ok());
    const auto before = openFiles();
    for (uint32_t nsid = 2; nsid <= 20; ++nsid) {
        ASSERT_TRUE(target->addFile(nsid, files_.file(std::to_string(nsid), 4096), 4096).ok());
    }
    EXPECT_EQ(openFiles(), before);
}

// Nor is a file watched on that was taken back: watches are for the whole user, and few.
TEST_F(TargetTest, WatchesOnlyWhatItExports) {
    const auto watches = [] {
        int count = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
            std::ifstream info(entry.path());
            for (std::string line; std::getline(info, line);) count += line.starts_with("inotify ");
        }
        return count;
    };
    auto target = start();
    const int before = watches();
    ASSERT_TRUE(target->addFile(1, files_.file("1", 4096), 4096).ok());
    ASSERT_TRUE(target->addFile(2, files_.file("2", 4096), 4096).ok());
    EXPECT_EQ(watches(), before + 2);
    ASSERT_TRUE(target->removeFile(1).ok());
    EXPECT_EQ(watches(), before + 1);
    target.reset();
    EXPECT_EQ(watches(), before);
}

TEST_F(TargetTest, NoticesAFileThatChangesWhileItIsExported) {
    auto target = start();
    const std::string path = files_.file("file", kMiB);
    const TreeSnapshot before = snapshot();
    nvmet_->duringEnable = [&] { std::filesystem::resize_file(path, kMiB / 2); };
    EXPECT_EQ(errorOf(target->addFile(1, path, kMiB)).code, ESTALE);
    EXPECT_EQ(snapshot(), before);
}

// Case 13: swapped between check and export. The kernel opens the one that was judged, and then the
// export ends, because the name means another file now.
TEST_F(TargetTest, ExportsWhatItJudged) {
    auto target = start();
    const std::string path = files_.file("file", kMiB);
    const auto judged = std::filesystem::file_size(path);
    const TreeSnapshot before = snapshot();
    uint64_t exported = 0;
    nvmet_->duringEnable = [&] {
        std::filesystem::rename(path, files_.path() + "/moved");
        files_.file("file", 4096);
        const std::string ns = "/subsystems/" + target->subsystemNqn() + "/namespaces/1";
        std::string device;
        makePosixConfigTree()->readFile(nvmetDir_.path() + ns + "/device_path", device);
        exported = std::filesystem::file_size(device);
    };
    const Error error = errorOf(target->addFile(1, path, kMiB));
    EXPECT_EQ(error.code, ESTALE);
    EXPECT_THAT(error.message, HasSubstr("replaced"));
    EXPECT_EQ(exported, judged);
    EXPECT_EQ(snapshot(), before);
}

// Case 44: from many threads at a time.
TEST_F(TargetTest, IsThreadSafe) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    std::atomic<uint32_t> next{1};
    std::atomic<int> sharedAdds{0};
    const std::string shared = files_.file("shared", 4096);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            const std::string own = files_.file("own" + std::to_string(t), 4096);
            for (int i = 0; i < 25; ++i) {
                const uint32_t nsid = next++;
                EXPECT_TRUE(target->addFile(nsid, own, 4096).ok());
                const uint32_t sharedNsid = next++;
                if (target->addFile(sharedNsid, shared, 4096).ok()) {
                    EXPECT_EQ(++sharedAdds, 1);
                    --sharedAdds;
                    EXPECT_TRUE(target->removeFile(sharedNsid).ok());
                }
                EXPECT_TRUE(target->removeFile(nsid).ok());
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

TEST_F(TargetTest, TellsAForkedChildFromItself) {
    auto target = start();
    ASSERT_TRUE(target->addFile(1, files_.file("file", 4096), 4096).ok());
    const TreeSnapshot before = snapshot();
    testing::internal::CaptureStderr();
    const pid_t child = fork();
    if (child == 0) {
        target.reset();
        _exit(0);
    }
    int status = -1;
    const pid_t ended = waitpid(child, &status, 0);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), Not(HasSubstr("left behind")));
    ASSERT_EQ(ended, child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(snapshot(), before);
}

// Cases 14, 25, 26: malformed addresses and host names never reach the tree.
TEST_F(TargetTest, RefusesMalformedInput) {
    const TreeSnapshot before = snapshot();
    for (const TransportAddress& address : {TransportAddress{"tcp", "ipv4", "127.0.0.1", "65536"},
                                            {"tcp", "ipv4", "localhost", "4420"},
                                            {"fc", "ipv4", "127.0.0.1", "4420"},
                                            {"tcp", "ipv4", "127.0.0.1,x=y", "4420"}}) {
        EXPECT_EQ(errorOf(tryStart(address)).code, EINVAL) << toString(address);
    }
    for (const std::string host :
         {"nqn.2014-08.org:a/../b", "", "nqn.2014-08.org:a,b", "..", "nqn.2014-08.org:a\nb"}) {
        options_.allowedHosts = {host};
        EXPECT_EQ(errorOf(tryStart()).code, EINVAL) << host;
    }
    options_.allowedHosts = {"nqn.2014-08.org:" + std::string(300, 'a')};
    EXPECT_EQ(errorOf(tryStart()).code, EINVAL);
    EXPECT_EQ(snapshot(), before);
}

// Said where it is so, and nowhere else.
TEST_F(TargetTest, WarnsWhereAnyHostMayReadAndWrite) {
    const auto warns = [this](const TransportAddress& address) {
        testing::internal::CaptureStderr();
        start(address);
        return testing::internal::GetCapturedStderr().find("may read and write the files") !=
               std::string::npos;
    };
    const TransportAddress network{"tcp", "ipv6", "fd00::1", "4420"};
    EXPECT_TRUE(warns(network));
    EXPECT_FALSE(warns(kLoopback));
    EXPECT_FALSE(warns({"tcp", "ipv6", "::1", "4420"}));
    options_.allowedHosts = {"nqn.2014-08.org:a"};
    EXPECT_FALSE(warns(network));
}

TEST_F(TargetTest, CountsWhatItExports) {
    auto target = start();
    EXPECT_EQ(target->counts().files, 0u);
    EXPECT_TRUE(target->counts().anyHost);
    const std::string a = files_.file("a", 8192), b = files_.file("b", 4096),
                      c = files_.file("c", 4096);
    ASSERT_TRUE(target->addFile(1, a, 8192).ok());
    ASSERT_TRUE(target->addFile(2, b, 4096).ok());
    ASSERT_TRUE(target->addFile(3, c, 4096).ok());
    EXPECT_EQ(target->counts().files, 3u);
    EXPECT_EQ(target->counts().bytes, 16384u);
    ASSERT_TRUE(target->removeFile(2).ok());
    EXPECT_EQ(target->counts().bytes, 12288u);
    EXPECT_TRUE(target->counts().withdrawn.empty()) << "what was taken back was not lost";
    std::filesystem::resize_file(a, 4096);
    std::filesystem::remove(c);
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
         target->counts().files != 0 && std::chrono::steady_clock::now() < end;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const TargetCounts counts = target->counts();
    EXPECT_EQ(counts.files, 0u);
    EXPECT_EQ(counts.bytes, 0u);
    EXPECT_EQ(counts.withdrawn, (std::map<std::string, uint64_t>{{"gone", 1}, {"resized", 1}}));
    options_.allowedHosts = {"nqn.2014-08.org:a", "nqn.2014-08.org:b"};
    auto listed = start({"tcp", "ipv4", "127.0.0.2", "4420"});
    EXPECT_FALSE(listed->counts().anyHost);
    EXPECT_EQ(listed->counts().allowedHosts, 2u);
}

// Case 14: not an address of this host.
TEST_F(TargetTest, RefusesAnAddressThatIsNotLocal) {
    const TreeSnapshot before = snapshot();
    const Error error = errorOf(tryStart({"tcp", "ipv4", "192.0.2.1", "4420"}));
    EXPECT_EQ(error.code, EADDRNOTAVAIL);
    EXPECT_THAT(error.message, HasSubstr("192.0.2.1"));
    EXPECT_THAT(error.message, HasSubstr("ip address"));
    EXPECT_EQ(snapshot(), before);
}

// Case 14: the port is taken.
TEST_F(TargetTest, RefusesAPortThatAProgramHas) {
    nvmet_->taken.insert("127.0.0.1:4420");
    auto elsewhere = start({"tcp", "ipv4", "127.0.0.2", "4420"});  // not to be blamed
    const TreeSnapshot before = snapshot();
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_THAT(error.message, HasSubstr("another program"));
    EXPECT_THAT(error.message, HasSubstr("outgoing connection (ss -tnp sport = :4420)"));
    EXPECT_EQ(snapshot(), before);
}

TEST_F(TargetTest, SaysWhichTransportTheKernelLacks) {
    const Error error = errorOf(tryStart({"rdma", "ipv4", "127.0.0.1", "4420"}));
    EXPECT_EQ(error.code, EINVAL);
    EXPECT_THAT(error.message, HasSubstr("modprobe nvmet-rdma"));
}

// Case 48: no nvmet, no configfs, no permission.
TEST_F(TargetTest, SaysWhatIsMissing) {
    options_.nvmetRoot = files_.path() + "/nvmet";
    const Error unmounted = errorOf(tryStart());
    EXPECT_EQ(unmounted.code, ENOENT);
    EXPECT_THAT(unmounted.message, HasSubstr("mount -t configfs none " + files_.path()));

    options_.nvmetRoot = nvmetDir_.path();
    for (const auto& [code, remedy] : {std::pair{EACCES, "root"}, {EROFS, "read-only"}}) {
        // A start that may change nothing fails in its first mkdir, the one of the port.
        auto tree = std::make_shared<FailingTree>(nvmet_);
        for (int at = 1; !tree->failed().starts_with("mkdir "); ++at) {
            ASSERT_LT(at, 100);
            tree->arm(at, code);
            const auto started = Target::start(kLoopback, options_, tree);
            if (!tree->failed().starts_with("mkdir ")) continue;
            const Error error = errorOf(started);
            EXPECT_EQ(error.code, code);
            EXPECT_THAT(error.message, HasSubstr(remedy));
        }
    }
}

TEST_F(TargetTest, LetsListedHostsIn) {
    const std::string a = "nqn.2014-08.org.nvmexpress:uuid:a", b = "nqn.2014-08.org.nvmexpress:b";
    options_.allowedHosts = {a, b, a};
    const TreeSnapshot before = snapshot();
    auto target = start();
    const TreeSnapshot running = snapshot();
    const std::string subsystem = "subsystems/" + target->subsystemNqn();
    EXPECT_EQ(running.at(subsystem + "/attr_allow_any_host"), "0\n");
    EXPECT_EQ(running.at(subsystem + "/allowed_hosts/" + a),
              "-> " + nvmetDir_.path() + "/hosts/" + a);
    EXPECT_EQ(running.at(subsystem + "/allowed_hosts/" + b),
              "-> " + nvmetDir_.path() + "/hosts/" + b);
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
