// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "admin_fixture.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kUuid[] = "5b3c7a36-4f0e-4c5b-9d0e-2f2b8a6d1c11";

class CheckTest : public AdminTest {
 protected:
    // A machine on which all is well.
    CheckTest() {
        putFile(roots_.proc + "/sys/kernel/osrelease", "6.1.0-test\n");
        putFile(roots_.proc + "/self/mounts",
                "proc /proc proc rw 0 0\nnone " + roots_.configfs + " configfs rw,relatime 0 0\n");
        putFile(roots_.proc + "/sys/fs/aio-max-nr", "65536\n");
        putFile(roots_.proc + "/sys/fs/aio-nr", "2048\n");
        for (const char* name : {"nvmet", "nvmet_tcp", "nvme_fabrics", "nvme_tcp"}) {
            fs::create_directories(roots_.sys + "/module/" + name);
        }
        putFile(roots_.sys + "/module/nvme_core/parameters/multipath", "Y\n");
        putFile(modules() + "/modules.builtin", "kernel/drivers/block/loop.ko\n");
        putFile(roots_.dev + "/loop-control", "");
        putFile(roots_.dev + "/nvme-fabrics", "");
        putFile(roots_.etc + "/nvme/hostnqn",
                std::string("nqn.2014-08.org.nvmexpress:uuid:") + kUuid + "\n");
        putFile(roots_.etc + "/nvme/hostid", std::string(kUuid) + "\n");
    }
    static bool isInManual(const std::string& code) {
        std::ifstream file(ADMIN_MANUAL);
        const std::string page((std::istreambuf_iterator<char>(file)), {});
        std::string row = code;
        for (size_t at = 0; (at = row.find('-', at)) != std::string::npos; at += 2) {
            row.insert(at, "\\");
        }
        return !code.empty() && page.find("\n.B " + row + "\n") != std::string::npos;
    }
    std::string modules() const { return roots_.modules + "/6.1.0-test"; }

    // The one line that is not ok: verdict and text.
    std::string complaint(const std::vector<std::string>& options = {}, uid_t euid = 0) const {
        std::vector<std::string> arguments{"check", "--json"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        const Outcome outcome = run(arguments, euid);
        const Json::Value report = outcome.json();
        EXPECT_EQ(outcome.status, report["passed"].asBool() ? 0 : 1);
        EXPECT_EQ(report["schema"].asInt(), 1);
        std::string all;
        for (const Json::Value& check : report["checks"]) {
            const std::string verdict = check["verdict"].asString();
            EXPECT_TRUE(isInManual(check["code"].asString())) << check;
            EXPECT_EQ(verdict == "ok", check["remedy"].isNull());
            if (verdict == "ok") continue;
            all += (all.empty() ? "" : " AND ") + verdict + ": " + check["what"].asString() +
                   " -> " + check["remedy"].asString();
        }
        return all;
    }
};

TEST_F(CheckTest, AllIsWell) {
    EXPECT_EQ(complaint(), "");
    const Outcome outcome = run({"check"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("ok    module nvmet-tcp is loaded\n"),
                                   HasSubstr("module loop is loaded"), Not(HasSubstr("do:"))));
}

TEST_F(CheckTest, APathThatIsDown) {
    makeConnection();
    EXPECT_THAT(complaint(), AllOf(HasSubstr("warn: paths are down: nvme1"), HasSubstr("192.0.2.2"),
                                   HasSubstr("connecting")));
    putFile(roots_.sys + "/class/nvme-subsystem/nvme-subsys0/nvme1/state", "live\n");
    EXPECT_EQ(complaint(), "");
}

TEST_F(CheckTest, NotRoot) {
    EXPECT_THAT(complaint({}, 1000), HasSubstr("fail: runs as user 1000"));
}

TEST_F(CheckTest, Configfs) {
    putFile(roots_.proc + "/self/mounts", "none " + roots_.configfs + " configfs ro,nosuid 0 0\n");
    EXPECT_THAT(complaint(), AllOf(HasSubstr("fail: configfs is mounted read-only"),
                                   HasSubstr("-> mount -o remount,rw " + roots_.configfs)));
    putFile(roots_.proc + "/self/mounts", "none /elsewhere configfs rw 0 0\n");
    EXPECT_THAT(complaint(), AllOf(HasSubstr("fail: configfs is not mounted"),
                                   HasSubstr("mount -t configfs none " + roots_.configfs)));
    EXPECT_EQ(complaint({"--role=initiator"}), "");
}

TEST_F(CheckTest, Modules) {
    fs::remove_all(roots_.sys + "/module/nvmet");
    EXPECT_THAT(complaint(), HasSubstr("fail: module nvmet is neither loaded"));
    putFile(modules() + "/modules.dep",
            "kernel/drivers/nvme/target/nvmet.ko.xz: kernel/lib/x.ko\n"
            "kernel/drivers/nvme/target/nvmet-tcp.ko.xz: a b\n");
    EXPECT_THAT(complaint(), HasSubstr("fail: module nvmet is available, but not loaded -> "
                                       "modprobe nvmet"));
    fs::create_directories(roots_.sys + "/module/nvmet");
    fs::remove_all(roots_.sys + "/module/nvmet_tcp");
    EXPECT_THAT(complaint(), HasSubstr("warn: module nvmet-tcp is available, but not loaded -> "
                                       "modprobe nvmet-tcp"));
    EXPECT_EQ(run({"check"}).status, 0);
    EXPECT_EQ(complaint({"--role=initiator"}), "");
    putFile(modules() + "/modules.dep", "kernel/x/not-nvmet-tcp.ko: nvmet-tcp.ko\n");
    EXPECT_THAT(complaint(), HasSubstr("fail: module nvmet-tcp is neither loaded"));
}

TEST_F(CheckTest, NoLoopDevicesIsNoFailure) {
    putFile(modules() + "/modules.builtin", "");
    EXPECT_THAT(complaint(), HasSubstr("warn: module loop"));
    fs::remove(roots_.dev + "/loop-control");
    EXPECT_THAT(complaint(), HasSubstr("warn: " + roots_.dev + "/loop-control"));
    EXPECT_EQ(run({"check"}).status, 0);
}

TEST_F(CheckTest, NoNvmetTree) {
    fs::remove_all(roots_.nvmet());
    EXPECT_THAT(complaint(), HasSubstr("fail: " + roots_.nvmet() + "/subsystems: No such file"));
}

TEST_F(CheckTest, NoNvmeFabrics) {
    fs::remove(roots_.dev + "/nvme-fabrics");
    EXPECT_THAT(complaint(), AllOf(HasSubstr("fail: " + roots_.dev + "/nvme-fabrics"),
                                   HasSubstr("modprobe nvme-fabrics")));
    EXPECT_EQ(complaint({"--role=target"}), "");
}

TEST_F(CheckTest, AioRequests) {
    putFile(roots_.proc + "/sys/fs/aio-nr", "60000\n");
    EXPECT_THAT(complaint(), AllOf(HasSubstr("warn: fs.aio-max-nr 65536, of which 60000"),
                                   HasSubstr("sysctl -w fs.aio-max-nr=1048576")));
    putFile(roots_.proc + "/sys/fs/aio-nr", "65536\n");
    EXPECT_THAT(complaint(), HasSubstr("fail: fs.aio-max-nr"));
    fs::remove(roots_.proc + "/sys/fs/aio-nr");
    EXPECT_THAT(complaint(), HasSubstr("fail: fs.aio-max-nr is not to be read"));
}

TEST_F(CheckTest, Multipath) {
    EXPECT_THAT(run({"check"}).out, HasSubstr("multipath is on"));
    putFile(roots_.sys + "/module/nvme_core/parameters/multipath", "N\n");
    EXPECT_THAT(run({"check"}).out, HasSubstr("multipath is off"));
}

TEST_F(CheckTest, Authentication) {
    EXPECT_THAT(run({"check"}).out, AllOf(HasSubstr("in nvmet: not known before"),
                                          HasSubstr("in nvme_core: not known before")));
    for (const char* module : {"nvmet", "nvme_core"}) {
        putFile(roots_.sys + "/module/" + module + "/initstate", "live\n");
    }
    EXPECT_THAT(run({"check"}).out, AllOf(HasSubstr("in nvmet: not in this kernel; a target that"),
                                          HasSubstr("in nvme_core: not in this kernel; targets")));
    fs::create_directories(roots_.sys + "/module/nvme_auth/holders/nvmet");
    fs::create_directories(roots_.sys + "/module/nvme_common/holders/nvme_core");
    EXPECT_THAT(run({"check"}).out,
                AllOf(HasSubstr("in nvmet: yes"), HasSubstr("in nvme_core: yes")));
    EXPECT_EQ(complaint(), "");
}

TEST_F(CheckTest, HostIdentity) {
    fs::remove(roots_.etc + "/nvme/hostid");
    EXPECT_THAT(complaint(), AllOf(HasSubstr("warn: " + roots_.etc + "/nvme/hostid is missing"),
                                   HasSubstr(std::string("echo ") + kUuid + " > ")));
    putFile(roots_.etc + "/nvme/hostid", "not-a-uuid\n");
    EXPECT_THAT(complaint(), AllOf(HasSubstr("fail: "), HasSubstr("not-a-uuid")));
    fs::remove_all(roots_.etc + "/nvme");
    putFile(roots_.etc + "/machine-id", "0123456789abcdef0123456789abcdef\n");
    EXPECT_THAT(complaint(), AllOf(HasSubstr("/hostnqn is missing"),
                                   HasSubstr("/hostid is missing"), Not(HasSubstr("fail"))));
}

TEST_F(CheckTest, Rdma) {
    const std::vector<std::string> rdma{"--trtype=rdma", "--role=initiator"};
    EXPECT_THAT(complaint(rdma), AllOf(HasSubstr("fail: there is no RDMA device"),
                                       HasSubstr("fail: module nvme-rdma is neither")));
    fs::create_directories(roots_.sys + "/class/infiniband/mlx5_0");
    fs::create_directories(roots_.sys + "/module/nvme_rdma");
    EXPECT_EQ(complaint(rdma), "");
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::admin
