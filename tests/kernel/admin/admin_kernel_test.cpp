// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <json/json.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "child_process.h"
#include "temp_dir.h"
#include "tree_snapshot.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::ChildProcess;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kRoot[] = "/sys/kernel/config/nvmet";
constexpr size_t kSize = 1 << 20;

void put(const std::string& path, const std::string& value) {
    std::ofstream file(path);
    file << value << std::flush;
    EXPECT_TRUE(file.good()) << path;
}

/// A subsystem that somebody exports by hand, with a port and a host.
class ForeignObjects {
 public:
    explicit ForeignObjects(const std::string& file) {
        for (const std::string& made : {subsystem_, ns_, host_, port_}) {
            EXPECT_EQ(mkdir(made.c_str(), 0755), 0) << made;
        }
        put(ns_ + "/device_path", file);
        put(ns_ + "/enable", "1");
        put(port_ + "/addr_trtype", "tcp");
        put(port_ + "/addr_adrfam", "ipv4");
        put(port_ + "/addr_traddr", "127.0.0.1");
        put(port_ + "/addr_trsvcid", "4430");
        EXPECT_EQ(symlink(host_.c_str(), allowed_.c_str()), 0);
        EXPECT_EQ(symlink(subsystem_.c_str(), link_.c_str()), 0);
    }
    ~ForeignObjects() {
        for (const std::string& link : {link_, allowed_}) EXPECT_EQ(unlink(link.c_str()), 0);
        for (const std::string& made : {port_, host_, ns_, subsystem_}) {
            EXPECT_EQ(rmdir(made.c_str()), 0) << made;
        }
    }

 private:
    const std::string root_ = kRoot;
    const std::string subsystem_ = root_ + "/subsystems/nqn.2014-08.org:foreign";
    const std::string ns_ = subsystem_ + "/namespaces/1";
    const std::string host_ = root_ + "/hosts/nqn.2014-08.org:guest";
    const std::string port_ = root_ + "/ports/1";
    const std::string allowed_ = subsystem_ + "/allowed_hosts/nqn.2014-08.org:guest";
    const std::string link_ = port_ + "/subsystems/other-name";
};

class AdminKernelTest : public testing::Test {
 protected:
    AdminKernelTest() {
        const std::string line = metadata_.waitForLine("listening on ");
        url_ = line.substr(std::min(line.find("http://"), line.size()));
    }

    /// The bench as a target, with one file of that name.
    std::unique_ptr<ChildProcess> startTarget(const std::string& name, const std::string& port) {
        auto target = std::make_unique<ChildProcess>(std::vector<std::string>{
            "transfer_engine_nvmeof_generic_bench", "--mode=target", "--local_server_name=" + name,
            "--metadata_server=" + url_, "--trsvcid=" + port, "--files=" + dir_.file(name, kSize)});
        EXPECT_NE(target->waitForLine("target ready"), "") << target->output();
        return target;
    }

    static std::string admin(const std::vector<std::string>& arguments, int status = 0) {
        std::vector<std::string> command{"nvmeof_generic_admin"};
        command.insert(command.end(), arguments.begin(), arguments.end());
        ChildProcess program(command);
        EXPECT_EQ(program.wait(), status) << program.output();
        return program.output();
    }

    static Json::Value listJson(const std::string& option = "--json") {
        Json::Value value;
        std::istringstream text(admin({"list", "--json", option}));
        std::string errors;
        EXPECT_TRUE(Json::parseFromStream(Json::CharReaderBuilder(), text, &value, &errors))
            << errors;
        return value["subsystems"];
    }
    static TreeSnapshot snapshot() { return takeSnapshot(kRoot); }
    // Debian's 6.12 is built with CONFIG_NVME_TARGET_AUTH, its 6.1 is not.
    static bool canAuthenticate() {
        utsname system;
        EXPECT_EQ(uname(&system), 0);
        return !std::string(system.release).starts_with("6.1.");
    }

    TempDir dir_{getenv("NVMEOF_TEST_DIR")};
    ChildProcess metadata_{
        {"transfer_engine_metadata_server", "--host", "127.0.0.1", "--port", "0"}};
    std::string url_;
};

// Case 16: orphans and only those. Case 17: nothing foreign is touched.
TEST_F(AdminKernelTest, LiveDeadAndForeign) {
    const TreeSnapshot empty = snapshot();
    {
        ForeignObjects foreign(dir_.file("foreign", 2 * kSize));
        auto live = startTarget("live", "4420");
        const TreeSnapshot wanted = snapshot();
        auto dead = startTarget("dead", "4421");
        EXPECT_EQ(listJson().size(), 2u);
        dead->signal(SIGKILL);
        EXPECT_EQ(dead->wait(), 128 + SIGKILL);
        const TreeSnapshot before = snapshot();

        std::string deadNqn, liveNqn;
        const Json::Value list = listJson();
        ASSERT_EQ(list.size(), 2u);
        for (const Json::Value& subsystem : list) {
            const bool lives = subsystem["owner"]["state"] == "alive";
            (lives ? liveNqn : deadNqn) = subsystem["nqn"].asString();
            EXPECT_EQ(subsystem["any_host"], true);
            // Debian's kernels are built without CONFIG_NVME_TARGET_DEBUGFS.
            EXPECT_TRUE(subsystem["connected_hosts"].isNull());
            ASSERT_EQ(subsystem["ports"].size(), 1u);
            EXPECT_EQ(subsystem["ports"][0]["trsvcid"], lives ? "4420" : "4421");
            ASSERT_EQ(subsystem["namespaces"].size(), 1u);
            const Json::Value& ns = subsystem["namespaces"][0];
            EXPECT_EQ(ns["enabled"], true);
            if (lives) {
                EXPECT_EQ(subsystem["owner"]["pid"].asInt(), live->pid());
                EXPECT_THAT(subsystem["owner"]["command"].asString(), HasSubstr("transfer_engin"));
                EXPECT_EQ(subsystem["segment"], "live");
                EXPECT_EQ(ns["file"], dir_.path() + "/live");
                EXPECT_EQ(ns["size"].asUInt64(), kSize);
            } else {
                EXPECT_EQ(subsystem["owner"]["state"], "dead");
                EXPECT_TRUE(ns["file"].isNull());
            }
        }
        ASSERT_NE(liveNqn, "");
        ASSERT_NE(deadNqn, "");
        EXPECT_THAT(admin({"list"}), AllOf(HasSubstr("alive, process"), HasSubstr("dead")));

        bool foreignListed = false;
        for (const Json::Value& subsystem : listJson("--all")) {
            if (subsystem["owner"]["state"] != "foreign") continue;
            foreignListed = true;
            EXPECT_EQ(subsystem["nqn"], "nqn.2014-08.org:foreign");
            EXPECT_EQ(subsystem["ports"][0]["trsvcid"], "4430");
            const Json::Value& host = subsystem["allowed_hosts"][0];
            EXPECT_EQ(host["nqn"], "nqn.2014-08.org:guest");
            EXPECT_EQ(host["authentication"], canAuthenticate() ? "none" : "unsupported");
            EXPECT_EQ(subsystem["namespaces"][0]["file"], dir_.path() + "/foreign");
            EXPECT_EQ(subsystem["namespaces"][0]["size"].asUInt64(), 2 * kSize);
        }
        EXPECT_TRUE(foreignListed);
        EXPECT_EQ(snapshot(), before) << "listing changes nothing";

        const std::string dry = admin({"clean", "--dry-run"});
        EXPECT_THAT(
            dry,
            AllOf(HasSubstr("would remove " + std::string(kRoot) + "/subsystems/" + deadNqn),
                  HasSubstr("/ports/40001"), Not(HasSubstr(liveNqn)), Not(HasSubstr("foreign"))));
        EXPECT_EQ(snapshot(), before) << "a dry run changes nothing";

        std::string wet = admin({"clean"});
        EXPECT_EQ(snapshot(), wanted) << "the dead target's objects are gone, and no others";
        for (size_t at = 0; (at = wet.find("removed", at)) != std::string::npos;) {
            wet.replace(at, 7, "would remove");
            at += 12;
        }
        EXPECT_EQ(wet, dry);
        EXPECT_EQ(admin({"clean"}), "nothing to remove\n");

        live->signal(SIGTERM);
        EXPECT_EQ(live->wait(), 0) << live->output();
    }
    EXPECT_EQ(snapshot(), empty);
}

TEST_F(AdminKernelTest, CheckOfAFitMachine) {
    const std::string text = admin({"check"});
    EXPECT_THAT(text, AllOf(HasSubstr("ok    module nvmet-tcp is loaded"),
                            HasSubstr("ok    configfs is mounted at /sys/kernel/config"),
                            HasSubstr("ok    /dev/nvme-fabrics is writable"),
                            HasSubstr("ok    fs.aio-max-nr 65536"), Not(HasSubstr("fail"))));
    for (const std::string module : {"nvmet", "nvme_core"}) {
        EXPECT_THAT(text, HasSubstr("authentication (DH-HMAC-CHAP) in " + module +
                                    (canAuthenticate() ? ": yes" : ": not in this kernel")));
    }
    // The modules are there, but not loaded.
    EXPECT_THAT(admin({"check", "--trtype=rdma"}, 1),
                AllOf(HasSubstr("fail  there is no RDMA device"),
                      HasSubstr("warn  module nvmet-rdma is available"),
                      HasSubstr("do: modprobe nvme-rdma")));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
