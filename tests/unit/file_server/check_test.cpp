// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <json/json.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "number_plan.h"
#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/common/network_namespace.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::file_server {
namespace {

using nvmeof_generic::TempDir;
using nvmeof_generic::UniqueFd;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A machine on which all is well, and a configuration for it.
class CheckTest : public testing::Test {
 protected:
    CheckTest() {
        machine_.configfs = dir_.path() + "/config";
        machine_.dev = dir_.path() + "/dev";
        machine_.sys = dir_.path() + "/sys";
        std::filesystem::create_directories(machine_.configfs + "/nvmet/subsystems");
        std::filesystem::create_directories(machine_.configfs + "/nvmet/ports");
        std::filesystem::create_directories(machine_.dev);
        std::ofstream(machine_.dev + "/loop-control");
    }

    void configure(const std::string& files, const std::string& server = "") {
        std::string rest = server;
        if (server.find("allow") == std::string::npos) rest += "allow_any_host = yes\n";
        if (server.find("traddr") == std::string::npos) rest += "traddr = 127.0.0.1\n";
        if (server.find("trsvcid") == std::string::npos) rest += "trsvcid = 47011\n";
        std::ofstream(config_) << "segment = node\nmetadata = http://127.0.0.1:1/metadata\n"
                               << rest << files;
    }

    /// What is not ok, "result code subject" each, and the exit status.
    std::vector<std::string> complaints(int status) {
        std::ostringstream out, err;
        EXPECT_EQ(check(config_, true, out, err, machine_), status) << out.str();
        EXPECT_EQ(err.str(), "");
        report_ = Json::Value();
        std::istringstream(out.str()) >> report_;
        EXPECT_EQ(report_["schema"].asInt(), 1);
        EXPECT_EQ(report_["exit_status"].asInt(), status);
        std::vector<std::string> found;
        std::string result = "ok";
        for (const Json::Value& item : report_["checks"]) {
            EXPECT_EQ(item.getMemberNames(),
                      (std::vector<std::string>{"code", "message", "remedy", "result", "subject"}));
            if (item["result"] == "ok") continue;
            if (result != "error") result = item["result"].asString();
            found.push_back(item["result"].asString() + " " + item["code"].asString() + " " +
                            item["subject"].asString());
        }
        EXPECT_EQ(report_["result"].asString(), result);
        return found;
    }
    std::string sparse(const std::string& name, uint64_t size) const {
        const std::string path = dir_.path() + "/" + name;
        std::ofstream file(path);
        std::filesystem::resize_file(path, size);
        return path;
    }
    static std::string section(const std::string& path, const std::string& rest = "") {
        return "[file " + path + "]\n" + rest;
    }

    TempDir dir_;
    Machine machine_;
    const std::string config_ = dir_.path() + "/conf";
    Json::Value report_;
};

TEST_F(CheckTest, AllIsWell) {
    configure(section(dir_.file("a", 8192)) + section(dir_.file("b", 8192), "size = 4096\n"));
    EXPECT_THAT(complaints(0), IsEmpty());
    EXPECT_EQ(report_["files"].asInt(), 2);
    EXPECT_EQ(report_["servable"].asInt(), 2);
    std::ostringstream out, err;
    EXPECT_EQ(check(config_, false, out, err, machine_), 0);
    EXPECT_EQ(err.str(), "");
    EXPECT_THAT(out.str(), HasSubstr("2 of 2 files can be served"));
}

TEST_F(CheckTest, EachFileIsTried) {
    const std::string good = dir_.file("good", 8192), small = dir_.file("small", 4096),
                      odd = dir_.file("odd", 10000), link = dir_.path() + "/link";
    std::filesystem::create_hard_link(good, link);
    const std::string none = dir_.path() + "/none", empty = dir_.file("empty", 0);
    const std::string files = section(good) + section(small, "size = 8K\n") + section(none) +
                              section(dir_.path()) + section(empty) + section(link) +
                              section("/dev/null") + section(odd, "size = 5000\n");
    configure(files);
    EXPECT_THAT(complaints(0),
                ElementsAre("warning file.size " + small, "warning file.missing " + none,
                            "warning file.kind " + dir_.path(), "warning file.size " + empty,
                            "warning file.duplicate " + link, "warning file.kind /dev/null",
                            "warning file.rounded " + odd));
    EXPECT_EQ(report_["servable"].asInt(), 2);
    configure(files, "strict = yes\n");
    EXPECT_THAT(complaints(1), Contains("error file.missing " + none));
    EXPECT_THAT(complaints(1), Contains("warning file.rounded " + odd));
}

TEST_F(CheckTest, AHoleThatTheDiskCannotFillIsTold) {
    struct statvfs disk;
    ASSERT_EQ(statvfs(dir_.path().c_str(), &disk), 0);
    const uint64_t free = uint64_t{disk.f_bfree} * disk.f_frsize;
    const uint64_t part = free / 5 * 3 / 4096 * 4096;
    const std::string large = sparse("large", (free / 4096 + 4096) * 4096),
                      first = sparse("first", part), second = sparse("second", part);
    configure(section(large));
    EXPECT_THAT(complaints(0), ElementsAre("warning file.space " + large));
    // Each by itself would fit.
    configure(section(first) + section(second));
    EXPECT_THAT(complaints(0), ElementsAre("warning file.space " + second));
    struct stat info;
    ASSERT_EQ(stat(first.c_str(), &info), 0);
    EXPECT_LT(info.st_blocks, 1024) << "nothing was reserved";
}

// Nothing is written to it: it needs no space, and no permission to write.
TEST_F(CheckTest, ReadOnlyFiles) {
    struct statvfs disk;
    ASSERT_EQ(statvfs(dir_.path().c_str(), &disk), 0);
    const std::string large = sparse("large", (uint64_t{disk.f_bfree} + 4096) * disk.f_frsize);
    configure(section(large));
    EXPECT_THAT(complaints(0), ElementsAre("warning file.space " + large));
    configure(section(large, "read_only = yes\n"));
    EXPECT_THAT(complaints(0), IsEmpty());
    std::filesystem::remove(machine_.dev + "/loop-control");
    EXPECT_THAT(complaints(0), ElementsAre("warning file.loop " + large));
}

TEST_F(CheckTest, TheWayToAFile) {
    const std::string folder = dir_.path() + "/open", file = folder + "/a";
    std::filesystem::create_directory(folder);
    std::filesystem::copy(dir_.file("a", 8192), file);
    ASSERT_EQ(chmod(folder.c_str(), 0777), 0);
    configure(section(file));
    EXPECT_THAT(complaints(0), ElementsAre("warning file.path " + file));
    configure(section(file, "path_check = no\n"));
    EXPECT_THAT(complaints(0), IsEmpty());
    configure(section(file), "path_check = no\n");
    EXPECT_THAT(complaints(0), IsEmpty());
    configure(section(file), "allowed_hosts_file = " + folder + "/hosts\n");
    std::ofstream(folder + "/hosts") << "nqn.2026-01.org.example:a\n";
    EXPECT_THAT(complaints(2), Contains("error hosts.unusable " + folder + "/hosts"));
    configure(section(file), "path_check = no\nallowed_hosts_file = " + folder + "/hosts\n");
    EXPECT_THAT(complaints(0), IsEmpty());
}

TEST_F(CheckTest, AFileWhoseDiskIsNotMounted) {
    const std::string file = dir_.file("a", 8192);
    configure(section(file, "mount = " + dir_.path() + "\n"));
    EXPECT_THAT(complaints(0), ElementsAre("warning file.mount " + file));
    configure(section(file, "mount = " + dir_.path() + "\n"), "strict = yes\n");
    EXPECT_THAT(complaints(1), ElementsAre("error file.mount " + file));
    configure(section(file, "mount = /\n"));
    EXPECT_THAT(complaints(0), IsEmpty());
}

TEST_F(CheckTest, NumbersOfFiles) {
    const std::string a = dir_.file("a", 8192), b = dir_.file("b", 8192);
    configure(section(a, "id = 7\n") + section(b, "id = 7\n"));
    EXPECT_THAT(complaints(2), ElementsAre("error config.malformed " + config_));
    // The number that the other one's path leads to.
    const auto number = planNumbers({{b, {}}}).at(b);
    configure(section(a, "id = " + std::to_string(number) + "\n") + section(b));
    EXPECT_THAT(complaints(0), ElementsAre("warning file.number " + b));
    EXPECT_EQ(report_["servable"].asInt(), 2);
    configure(section(a, "id = 7\n") + section(b));
    EXPECT_THAT(complaints(0), IsEmpty());
}

TEST_F(CheckTest, APartOfAFileTakesLoopDevices) {
    const std::string file = dir_.file("a", 8192);
    std::filesystem::remove(machine_.dev + "/loop-control");
    configure(section(file));
    EXPECT_THAT(complaints(0), IsEmpty());
    configure(section(file, "size = 4096\n"));
    EXPECT_THAT(complaints(0), ElementsAre("warning file.loop " + file));
}

TEST_F(CheckTest, Addresses) {
    configure("", "traddr = 203.0.113.1\n");
    EXPECT_THAT(complaints(1), Contains(HasSubstr("error address.not_local")));
    configure("", "traddr = 203.0.113\n");
    EXPECT_THAT(complaints(2), ElementsAre("error config.malformed " + config_));
    for (const std::string wrong : {"", "advertise = nowhere\n"}) {
        configure("", "traddr = 0.0.0.0\n" + wrong);
        EXPECT_THAT(complaints(2), ElementsAre("error config.malformed " + config_)) << wrong;
    }
    configure("", "adrfam = ipv6\ntraddr = fe80::1%nosuch0\nadvertise = 2001:db8::1\n");
    EXPECT_THAT(complaints(1), Contains(HasSubstr("error address.not_local")));

    const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(at);
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&at), length), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &length), 0);
    const std::string port = std::to_string(ntohs(at.sin_port));
    configure("", "trsvcid = " + port + "\n");
    EXPECT_THAT(complaints(1), Contains(HasSubstr("error address.in_use")));
    // Our own port, which the new target would share.
    const std::string own = machine_.configfs + "/nvmet/ports/40000";
    std::filesystem::create_directories(own + "/referrals/mooncake-nvmeof-generic." +
                                        std::to_string(nvmeof_generic::networkNamespace()));
    const auto attribute = [&](const char* name, const std::string& value) {
        std::ofstream(own + "/addr_" + name) << value << '\n';
    };
    attribute("trtype", "tcp");
    attribute("adrfam", "ipv4");
    attribute("traddr", "127.0.0.1");
    attribute("trsvcid", port);
    EXPECT_THAT(complaints(0), ElementsAre("warning config.no_files " + config_));
}

TEST_F(CheckTest, HostsAndKeys) {
    const std::string list = dir_.path() + "/hosts", keys = dir_.path() + "/keys";
    const std::string server = "allowed_hosts_file = " + list + "\ndhchap_keys = " + keys + "\n";
    configure("", server);
    EXPECT_THAT(complaints(2), Contains("error hosts.unusable " + list));
    std::ofstream(list) << "# nobody\n";
    EXPECT_THAT(complaints(2), Contains("error keys.unusable " + keys));
    std::filesystem::create_directory(keys);
    EXPECT_THAT(complaints(0), Contains("warning hosts.nobody " + list));
    std::ofstream(list) << "nqn.2026-01.org.example:a\n";
    EXPECT_THAT(complaints(2), Contains("error keys.unusable " + keys));
    const std::string key = keys + "/nqn.2026-01.org.example:a";
    // The 32 bytes 1 to 32.
    std::ofstream(key) << "host_key=DHHC-1:00:"
                          "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=:\n";
    ASSERT_EQ(chmod(key.c_str(), 0600), 0);
    EXPECT_THAT(complaints(2), Contains("error keys.unusable " + keys)) << "it has no CRC";
    ASSERT_EQ(chmod(list.c_str(), 0666), 0);
    EXPECT_THAT(complaints(2), Contains("error hosts.unusable " + list));
}

TEST_F(CheckTest, AnyHostIsAWarningWhereOthersReachThePort) {
    configure("", "traddr = 0.0.0.0\nadvertise = 192.0.2.1\n");
    EXPECT_THAT(complaints(0), Contains("warning hosts.anybody allow_any_host"));
    configure("");
    EXPECT_THAT(complaints(0), testing::Not(Contains(HasSubstr("hosts."))));
}

TEST_F(CheckTest, TheKernelsTarget) {
    std::filesystem::remove_all(machine_.configfs);
    configure("");
    EXPECT_THAT(complaints(1), Contains(HasSubstr("error kernel.target")));
}

TEST_F(CheckTest, EnvironmentOfTheTransport) {
    configure("");
    setenv("MC_NVMEOF_GENERIC_STATS_FILE", (dir_.path() + "/none/stats").c_str(), 1);
    EXPECT_THAT(complaints(1), Contains(HasSubstr("error stats.unwritable")));
    setenv("MC_NVMEOF_GENERIC_STATS_FILE", (dir_.path() + "/stats").c_str(), 1);
    EXPECT_THAT(complaints(0), testing::Not(Contains(HasSubstr("stats."))));
    setenv("MC_NVMEOF_GENERIC_STATS_FILE", "relative", 1);
    EXPECT_THAT(complaints(2), Contains(HasSubstr("error environment.malformed")));
    unsetenv("MC_NVMEOF_GENERIC_STATS_FILE");
}

TEST_F(CheckTest, ChangesNothing) {
    configure(section(sparse("hole", 1 << 20)) + section(dir_.file("b", 8192), "size = 4096\n"));
    const auto snapshot = [&] {
        std::map<std::string, std::pair<blkcnt_t, timespec>> all;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
            struct stat info;
            EXPECT_EQ(stat(entry.path().c_str(), &info), 0);
            all[entry.path()] = {info.st_blocks, info.st_mtim};
        }
        std::vector<std::string> lines;
        for (const auto& [path, state] : all) {
            lines.push_back(path + " " + std::to_string(state.first) + " " +
                            std::to_string(state.second.tv_sec) + "." +
                            std::to_string(state.second.tv_nsec));
        }
        return lines;
    };
    const auto before = snapshot();
    EXPECT_THAT(complaints(0), IsEmpty());
    EXPECT_EQ(snapshot(), before);
}

TEST(CheckCodes, TheManualHasThemAll) {
    std::ifstream file(FILE_SERVER_MANUAL);
    std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    ASSERT_FALSE(page.empty());
    for (const CheckCode& code : allCheckCodes()) {
        const std::string row =
            "\n.B " + std::string(code.code) + "\n" + (code.permanent ? "[2] " : "");
        EXPECT_NE(page.find(row), std::string::npos) << "the list of codes lacks" << row;
    }
}

// As a subsystem of which a disk hangs: the kernel lets nobody look, and nobody waits for it.
TEST_F(CheckTest, AKernelThatDoesNotAnswerHoldsNobody) {
    const std::string nqn = nvmeof_generic::newSubsystemNqn();
    const std::string subsystem = machine_.configfs + "/nvmet/subsystems/" + nqn;
    std::filesystem::create_directories(machine_.configfs + "/nvmet/hosts");
    std::filesystem::create_directory(subsystem);
    const std::string held = subsystem + "/attr_allow_any_host";
    ASSERT_EQ(mkfifo(held.c_str(), 0600), 0);
    EXPECT_THAT(servedFiles(machine_, "node", std::chrono::milliseconds(10)), IsEmpty());
    // Lets the thread go, which has opened it by now or will.
    const UniqueFd end(open(held.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(end.valid());
    ASSERT_EQ(write(end.get(), "1\n", 2), 2);
}

}  // namespace
}  // namespace mooncake::file_server
