// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <sys/stat.h>

#include <filesystem>

#include "admin_fixture.h"
#include "transport/nvmeof_generic_transport/target/owner.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class ListTest : public AdminTest {
 protected:
    // The one subsystem that is listed.
    Json::Value listOne() const {
        const Json::Value list = run({"list", "--json"}).json();
        EXPECT_EQ(list["schema"].asInt(), 1);
        EXPECT_EQ(list["subsystems"].size(), 1u);
        return list["subsystems"][0];
    }
};

TEST_F(ListTest, ALiveTarget) {
    options_.allowedHosts = {"nqn.2014-08.org:b", "nqn.2014-08.org:a"};
    auto target = startTarget();
    const TreeSnapshot before = snapshot();
    const Json::Value subsystem = listOne();
    EXPECT_EQ(subsystem["nqn"], target->nqn());
    EXPECT_EQ(subsystem["owner"]["state"], "alive");
    EXPECT_GT(subsystem["owner"]["pid"].asInt(), 1);
    EXPECT_EQ(subsystem["owner"]["command"], "admin_test");
    EXPECT_EQ(subsystem["owner"]["recorded_pid"], subsystem["owner"]["pid"]);
    struct stat self;
    ASSERT_EQ(stat("/proc/self/ns/pid", &self), 0);
    EXPECT_EQ(subsystem["owner"]["pid_namespace"].asUInt64(), self.st_ino);
    EXPECT_EQ(subsystem["owner"]["network_namespace"].asUInt64(), networkNamespace());
    // Within this test's day, at the least.
    EXPECT_EQ(subsystem["owner"]["started"].asString().size(), 20u);
    EXPECT_EQ(subsystem["segment"], "shelf");
    EXPECT_EQ(subsystem["any_host"], false);
    ASSERT_EQ(subsystem["allowed_hosts"].size(), 2u);
    EXPECT_EQ(subsystem["allowed_hosts"][0]["nqn"], "nqn.2014-08.org:a");
    EXPECT_EQ(subsystem["allowed_hosts"][0]["authentication"], "unsupported");
    ASSERT_EQ(subsystem["ports"].size(), 1u);
    EXPECT_EQ(subsystem["ports"][0]["id"], "40000");
    EXPECT_EQ(subsystem["ports"][0]["network_namespace"].asUInt64(), networkNamespace());
    EXPECT_EQ(subsystem["ports"][0]["trtype"], "tcp");
    EXPECT_EQ(subsystem["ports"][0]["traddr"], "127.0.0.1");
    EXPECT_EQ(subsystem["ports"][0]["trsvcid"], "4420");
    ASSERT_EQ(subsystem["namespaces"].size(), 2u);
    for (unsigned i = 0; i < 2; ++i) {
        const Json::Value ns = subsystem["namespaces"][i];
        EXPECT_EQ(ns["nsid"].asUInt(), i + 1);
        EXPECT_EQ(ns["enabled"], true);
        EXPECT_EQ(ns["file"], file(std::to_string(i + 1)));
        EXPECT_EQ(ns["size"].asUInt64(), 8192u);
    }
    EXPECT_EQ(snapshot(), before);
}

TEST_F(ListTest, AFailureInJson) {
    std::filesystem::remove_all(roots_.nvmet());
    const Outcome outcome = run({"list", "--json"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(outcome.json()["schema"].asInt(), 1);
    EXPECT_EQ(outcome.json()["error"]["code"].asString(), "ENOENT");
    EXPECT_THAT(outcome.json()["error"]["message"].asString(),
                HasSubstr("configfs is not mounted"));
    EXPECT_THAT(run({"list"}).err, HasSubstr("configfs is not mounted"));
}

TEST_F(ListTest, ADeadTarget) {
    auto target = startTarget();
    target->kill();
    const TreeSnapshot before = snapshot();
    const Json::Value subsystem = listOne();
    EXPECT_EQ(subsystem["owner"]["state"], "dead");
    EXPECT_TRUE(subsystem["owner"]["pid"].isNull());
    EXPECT_GT(subsystem["owner"]["recorded_pid"].asInt(), 1);
    EXPECT_TRUE(subsystem["segment"].isNull());
    EXPECT_EQ(subsystem["any_host"], true);
    ASSERT_EQ(subsystem["namespaces"].size(), 2u);
    EXPECT_EQ(subsystem["namespaces"][0]["enabled"], true);
    EXPECT_TRUE(subsystem["namespaces"][0]["file"].isNull());
    EXPECT_THAT(run({"list"}).out, HasSubstr("nvmeof_generic_admin clean"));
    EXPECT_EQ(snapshot(), before);
}

// A lock that stayed would keep the orphan from being removed.
TEST_F(ListTest, KeepsNoLock) {
    auto target = startTarget();
    target->kill();
    run({"list"});
    ProcessFd owner, all;
    EXPECT_EQ(nvmet_->tryLock(roots_.nvmet() + "/subsystems/" + target->nqn(),
                              ConfigTree::LockMode::kExclusive, owner),
              0);
    EXPECT_EQ(nvmet_->exists(lockOfAll()), ENOENT);
}

TEST_F(ListTest, AnOwnerThatCannotBeSeen) {
    auto target = startTarget();
    seeNoProcesses();
    const Json::Value subsystem = listOne();
    EXPECT_EQ(subsystem["owner"]["state"], "alive");
    EXPECT_TRUE(subsystem["owner"]["pid"].isNull());
    EXPECT_TRUE(subsystem["namespaces"][0]["file"].isNull());
    EXPECT_THAT(run({"list"}).out, HasSubstr("PID namespace"));
}

TEST_F(ListTest, WhileAnotherProcessKeepsTheLockOfAll) {
    auto target = startTarget();
    ProcessFd lock;
    ASSERT_EQ(nvmet_->tryEnter(lockOfAll(), lock), 0);
    EXPECT_EQ(listOne()["owner"]["state"], "unknown");
    EXPECT_THAT(run({"list"}).out, HasSubstr("fuser -v"));
}

// Case 17: others' objects are not this transport's business.
TEST_F(ListTest, ForeignObjectsOnlyWhenAskedFor) {
    makeForeignObjects();
    EXPECT_THAT(run({"list"}).out, AllOf(HasSubstr("nothing is exported"), Not(HasSubstr("org:"))));
    const Outcome all = run({"list", "--all", "--json"});
    const Json::Value subsystem = all.json()["subsystems"][0];
    EXPECT_EQ(subsystem["nqn"], kForeignNqn);
    EXPECT_EQ(subsystem["owner"]["state"], "foreign");
    EXPECT_EQ(subsystem["ports"][0]["trsvcid"], "4430");
    EXPECT_EQ(subsystem["allowed_hosts"][0]["nqn"], kForeignHost);
    EXPECT_EQ(subsystem["allowed_hosts"][0]["authentication"], "host");
    EXPECT_EQ(subsystem["namespaces"][0]["file"], file("foreign"));
    EXPECT_EQ(subsystem["namespaces"][0]["size"].asUInt64(), 12288u);
}

TEST_F(ListTest, ShowsTheConnectionsOfThisHost) {
    makeConnection();
    const Outcome shown = run({"list", "--json"});
    ASSERT_EQ(shown.status, 0) << shown.err;
    const Json::Value connections = shown.json()["connections"];
    ASSERT_EQ(connections.size(), 1u);
    EXPECT_EQ(connections[0]["nqn"], kConnectedNqn);
    EXPECT_EQ(connections[0]["io_policy"], "queue-depth");
    const Json::Value paths = connections[0]["paths"];
    ASSERT_EQ(paths.size(), 2u);
    EXPECT_EQ(paths[0]["controller"], "nvme0");
    EXPECT_EQ(paths[0]["state"], "live");
    EXPECT_EQ(paths[0]["bytes_read"].asUInt64(), 16u * 512);
    EXPECT_EQ(paths[0]["bytes_written"].asUInt64(), 32u * 512);
    EXPECT_EQ(paths[1]["state"], "connecting");
    EXPECT_EQ(paths[1]["address"], "traddr=192.0.2.2,trsvcid=4420");
    EXPECT_THAT(
        run({"list"}).out,
        AllOf(HasSubstr("connected to '" + std::string(kConnectedNqn)), HasSubstr("queue-depth"),
              HasSubstr("nvme1: tcp traddr=192.0.2.2,trsvcid=4420, connecting, ")));
}

TEST_F(ListTest, AHostThatOnlyConnectsNeedsNoTarget) {
    fs::remove_all(roots_.nvmet());
    EXPECT_EQ(run({"list"}).status, 1);
    makeConnection();
    const Outcome shown = run({"list"});
    EXPECT_EQ(shown.status, 0);
    EXPECT_THAT(shown.out, AllOf(HasSubstr(kConnectedNqn), HasSubstr("note: ")));
}

TEST_F(ListTest, NeverShowsKeys) {
    makeForeignObjects();
    for (const Outcome& outcome : {run({"list", "--all", "--json"}), run({"list", "--all"})}) {
        EXPECT_THAT(outcome.out, HasSubstr(kForeignHost));
        EXPECT_THAT(outcome.out + outcome.err, Not(HasSubstr("DHHC")));
    }
}

// Who is let in by his name alone, and who must prove it.
TEST_F(ListTest, WhetherHostsProveWhoTheyAre) {
    makeForeignObjects();
    const std::string key = roots_.nvmet() + "/hosts/" + kForeignHost + "/dhchap_key",
                      controllerKey =
                          roots_.nvmet() + "/hosts/" + kForeignHost + "/dhchap_ctrl_key";
    const auto expect = [&](const char* json, const std::string& text) {
        const Json::Value list = run({"list", "--all", "--json"}).json();
        EXPECT_EQ(list["subsystems"][0]["allowed_hosts"][0]["authentication"], json);
        EXPECT_THAT(run({"list", "--all"}).out, HasSubstr(text));
    };
    putFile(controllerKey, "\n");
    expect("host", "' that proves who it is (DH-HMAC-CHAP)");
    putFile(controllerKey, "DHHC-1:00:c2VjcmV0\n");
    expect("both", "as the target does");
    putFile(key, "\n");
    expect("none", "it has no key");
    std::filesystem::remove(key);
    expect("unsupported", "this kernel's target cannot");
}

TEST_F(ListTest, ConnectedHostsWhereTheKernelTells) {
    auto target = startTarget();
    EXPECT_TRUE(listOne()["connected_hosts"].isNull());
    EXPECT_THAT(run({"list"}).out, HasSubstr("CONFIG_NVME_TARGET_DEBUGFS"));
    const std::string folder = roots_.sys + "/kernel/debug/nvmet/" + target->nqn();
    std::filesystem::create_directories(folder);
    EXPECT_TRUE(listOne()["connected_hosts"].isArray());
    EXPECT_EQ(listOne()["connected_hosts"].size(), 0u);
    putFile(folder + "/ctrl1/hostnqn", "nqn.2014-08.org:guest\n");
    putFile(folder + "/ctrl1/host_traddr", "192.0.2.7\n");
    EXPECT_EQ(listOne()["connected_hosts"][0]["nqn"], "nqn.2014-08.org:guest");
    EXPECT_EQ(listOne()["connected_hosts"][0]["address"], "192.0.2.7");
    EXPECT_THAT(run({"list"}).out, AllOf(HasSubstr("192.0.2.7"), Not(HasSubstr("DEBUGFS"))));
}

TEST_F(ListTest, TheTable) {
    auto target = startTarget();
    const Outcome outcome = run({"list"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, AllOf(HasSubstr(target->nqn()), HasSubstr("alive, process "),
                                   HasSubstr("'shelf'"), HasSubstr("traddr=127.0.0.1"),
                                   HasSubstr("any host"), HasSubstr("8192  '" + file("1") + "'")));
}

// What a name holds must not steer the operator's terminal.
TEST_F(ListTest, NamesThatAreNoText) {
    options_.segment = "\x1b[2Jgone";
    auto target = startTarget();
    EXPECT_THAT(run({"list"}).out, AllOf(HasSubstr("?[2Jgone"), Not(HasSubstr("\x1b"))));
    EXPECT_THAT(run({"list", "--json"}).out, Not(HasSubstr("\x1b")));
}

TEST_F(ListTest, WithoutNvmet) {
    std::filesystem::remove_all(roots_.nvmet());
    const Outcome outcome = run({"list"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(roots_.configfs), HasSubstr("mount -t configfs")));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::admin
