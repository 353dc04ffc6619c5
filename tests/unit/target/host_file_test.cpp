// SPDX-License-Identifier: Apache-2.0
// The file that lists the hosts, watched by a running target.
#include "host_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "log_lines.h"
#include "target_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kA = "nqn.2014-08.org:a", kB = "nqn.2014-08.org:b";

class HostFileTest : public TargetTest {
 protected:
    HostFileTest() {
        options_.allowedHostsFile = list_;
        write(list_, "# who may connect\n\n" + kA + "\n");
    }
    static void write(const std::string& path, const std::string& text) {
        std::ofstream(path) << text;
        ASSERT_EQ(chmod(path.c_str(), 0644), 0);
    }
    std::vector<std::string> allowed(const Target& target) {
        std::vector<std::string> hosts;
        const std::string folder = "/subsystems/" + target.subsystemNqn() + "/allowed_hosts";
        EXPECT_EQ(nvmet_->list(nvmetDir_.path() + folder, hosts), 0);
        return hosts;
    }
    test_support::LogLines log_;
    const std::string list_ = files_.path() + "/hosts";
};

TEST_F(HostFileTest, IsReadLineByLine) {
    const auto hosts = parseHostFile("\n  " + kA + "\t\r\n#x\n" + kB + "\n" + kA);
    ASSERT_TRUE(hosts.ok()) << hosts.error().message;
    EXPECT_THAT(hosts.value(), ElementsAre(kA, kB));
    EXPECT_THAT(parseHostFile("").value(), IsEmpty());
}

// Cases 25 and 26.
TEST_F(HostFileTest, RefusesMalformedLines) {
    using namespace std::string_literals;
    for (const std::string& line : {kA + "," + kB, kA + " " + kB, kA + "\0"s, "../x"s, "*"s,
                                    kA + "/b", "nqn.2026-01." + std::string(212, 'a')}) {
        const Error error = errorOf(parseHostFile(kB + "\n" + line + "\n"));
        EXPECT_EQ(error.code, EINVAL) << line;
        EXPECT_THAT(error.message, HasSubstr("line 2"));
    }
}

// Case 22: a change of the file is one of the list.
TEST_F(HostFileTest, IsFollowed) {
    auto target = start();
    EXPECT_THAT(allowed(*target), ElementsAre(kA));
    {
        write(list_, kA + "\n" + kB + "\n");
        ASSERT_TRUE(log_.waitFor("2 hosts may connect")) << "rewritten";
        EXPECT_THAT(allowed(*target), ElementsAre(kA, kB));
    }
    {
        write(list_ + ".new", kB);
        ASSERT_EQ(rename((list_ + ".new").c_str(), list_.c_str()), 0);
        ASSERT_TRUE(log_.waitFor("1 hosts may connect")) << "replaced";
        EXPECT_THAT(allowed(*target), ElementsAre(kB));
    }
    {
        write(list_, "");
        ASSERT_TRUE(log_.waitFor("0 hosts may connect")) << "emptied";
        EXPECT_THAT(allowed(*target), IsEmpty());
    }
}

// A link to a file in a folder that is a link itself, which is replaced.
TEST_F(HostFileTest, IsFollowedInAMountedVolume) {
    namespace fs = std::filesystem;
    const std::string folder = files_.path();
    fs::create_directory(folder + "/1");
    fs::create_directory(folder + "/2");
    write(folder + "/1/hosts", kA);
    write(folder + "/2/hosts", kB);
    fs::remove(list_);
    fs::create_directory_symlink("1", folder + "/..data");
    fs::create_symlink("..data/hosts", list_);
    auto target = start();
    EXPECT_THAT(allowed(*target), ElementsAre(kA));
    fs::create_directory_symlink("2", folder + "/new");
    fs::rename(folder + "/new", folder + "/..data");
    ASSERT_TRUE(log_.waitFor("1 hosts may connect"));
    EXPECT_THAT(allowed(*target), ElementsAre(kB));
}

// Case 50: a mistake lets nobody in and throws nobody out.
TEST_F(HostFileTest, AMistakeChangesNothing) {
    auto target = start();
    for (const auto& mistake : {std::function<void()>([&] { write(list_, kB + "\nmistake\n"); }),
                                {[&] { std::filesystem::remove(list_); }},
                                {[&] {
                                    std::ofstream file(list_);
                                    file << kB;
                                    ASSERT_EQ(chmod(list_.c_str(), 0666), 0);
                                }}}) {
        mistake();
        ASSERT_TRUE(log_.waitFor("stay as they are"));
        EXPECT_THAT(allowed(*target), ElementsAre(kA));
    }
    EXPECT_EQ(errorOf(target->setAllowedHosts({kB})).code, EINVAL) << "the file says who";
}

TEST_F(HostFileTest, IsTriedAgainAfterAFailure) {
    // The address is taken while the target is off it.
    nvmet_->beforeUnlink = [&](const std::string& path) {
        if (path.find("/ports/") != std::string::npos) nvmet_->taken = {"127.0.0.1:4420"};
    };
    auto target = start();
    const std::string port = nvmetDir_.path() + "/ports/40000/subsystems/" + target->subsystemNqn();
    write(list_, "");
    ASSERT_TRUE(log_.waitFor("not in force yet"));
    EXPECT_EQ(nvmet_->exists(port), ENOENT);
    {
        std::lock_guard guard(nvmet_->mutex());
        nvmet_->taken.clear();
    }
    ASSERT_TRUE(log_.waitFor("0 hosts may connect"));
    EXPECT_EQ(nvmet_->exists(port), 0);
}

// Case 50.
TEST_F(HostFileTest, AStartWithoutAGoodFileFails) {
    const TreeSnapshot before = snapshot();
    options_.allowedHosts = {kA};
    EXPECT_EQ(errorOf(tryStart()).code, EINVAL) << "list and file";
    options_.allowedHosts.clear();
    write(list_, "mistake");
    EXPECT_EQ(errorOf(tryStart()).code, EINVAL);
    ASSERT_EQ(chmod(list_.c_str(), 0666), 0);
    EXPECT_EQ(errorOf(tryStart()).code, EACCES);
    std::filesystem::remove(list_);
    EXPECT_EQ(errorOf(tryStart()).code, ENOENT);
    options_.allowedHostsFile = files_.path() + "/no/folder";
    EXPECT_EQ(errorOf(tryStart()).code, ENOENT);
    options_.allowedHostsFile = "hosts";
    EXPECT_EQ(errorOf(tryStart()).code, EINVAL);
    EXPECT_EQ(snapshot(), before);
}

TEST_F(HostFileTest, AnEmptyOneLetsNobodyIn) {
    write(list_, "");
    auto target = start();
    EXPECT_THAT(allowed(*target), IsEmpty());
    EXPECT_EQ(snapshot().at("subsystems/" + target->subsystemNqn() + "/attr_allow_any_host"),
              "0\n");
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
