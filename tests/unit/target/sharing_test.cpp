// SPDX-License-Identifier: Apache-2.0
// Several targets on one host, and what others made beside them.
#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>

#include "owner.h"
#include "target_fixture.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SharingTest : public TargetTest {
 protected:
    // As by hand or by nvmetcli.
    void makeForeignPort(const std::string& id, const std::string& service) {
        const std::string port = nvmetDir_.path() + "/ports/" + id;
        ASSERT_EQ(nvmet_->makeDir(port), 0);
        ASSERT_EQ(nvmet_->writeFile(port + "/addr_trtype", "tcp"), 0);
        ASSERT_EQ(nvmet_->writeFile(port + "/addr_adrfam", "ipv4"), 0);
        ASSERT_EQ(nvmet_->writeFile(port + "/addr_traddr", "127.0.0.1"), 0);
        ASSERT_EQ(nvmet_->writeFile(port + "/addr_trsvcid", service), 0);
    }
    void makeForeignSubsystem(const std::string& nqn) {
        const std::string subsystem = nvmetDir_.path() + "/subsystems/" + nqn;
        ASSERT_EQ(nvmet_->makeDir(subsystem), 0);
        ASSERT_EQ(nvmet_->makeDir(subsystem + "/namespaces/1"), 0);
        ASSERT_EQ(nvmet_->writeFile(subsystem + "/namespaces/1/device_path",
                                    files_.file("foreign", 4096)),
                  0);
        ASSERT_EQ(nvmet_->writeFile(subsystem + "/namespaces/1/enable", "1"), 0);
    }
    void makeForeignHost(const std::string& nqn) {
        ASSERT_EQ(nvmet_->makeDir(nvmetDir_.path() + "/hosts/" + nqn), 0);
    }
    void link(const std::string& target, const std::string& path) {
        ASSERT_EQ(nvmet_->link(nvmetDir_.path() + "/" + target, nvmetDir_.path() + "/" + path), 0);
    }
    std::vector<std::string> ports() {
        std::vector<std::string> ids;
        EXPECT_EQ(nvmet_->list(nvmetDir_.path() + "/ports", ids), 0);
        return ids;
    }
};

// Case 18: two engines on one host, same address and port.
TEST_F(SharingTest, TargetsAtOneAddressShareAPort) {
    const TreeSnapshot before = snapshot();
    auto a = start(), b = start();
    EXPECT_THAT(ports(), SizeIs(1));
    const TreeSnapshot running = snapshot();
    EXPECT_TRUE(running.contains("ports/40000/subsystems/" + a->subsystemNqn()));
    EXPECT_TRUE(running.contains("ports/40000/subsystems/" + b->subsystemNqn()));

    const std::string goneNqn = a->subsystemNqn();
    a.reset();
    EXPECT_THAT(ports(), SizeIs(1));
    EXPECT_THAT(pathsWith(snapshot(), goneNqn), IsEmpty());
    auto c = start();
    b.reset();
    EXPECT_THAT(ports(), SizeIs(1));
    c.reset();
    EXPECT_EQ(snapshot(), before);
}

TEST_F(SharingTest, TheWayAnAddressIsWrittenDoesNotMatter) {
    auto a = start({"tcp", "ipv6", "::1", "4420"});
    auto b = start({"tcp", "ipv6", "0:0:0:0:0:0:0:1", "4420"});
    EXPECT_THAT(ports(), SizeIs(1));
    auto c = start({"tcp", "ipv4", "127.0.0.1", "4420"});
    auto d = start({"tcp", "ipv4", "127.0.0.1", "4421"});
    EXPECT_THAT(ports(), SizeIs(3));
}

// Case 14, 17: a stranger's port at the same address.
TEST_F(SharingTest, NeverUsesAStrangersPort) {
    makeForeignPort("1", "4420");
    makeForeignSubsystem("nqn.2014-08.org:foreign");
    link("subsystems/nqn.2014-08.org:foreign", "ports/1/subsystems/nqn.2014-08.org:foreign");
    const TreeSnapshot before = snapshot();
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_THAT(error.message, HasSubstr("ports/1"));
    EXPECT_EQ(snapshot(), before);
    EXPECT_TRUE(tryStart({"tcp", "ipv4", "127.0.0.1", "4421"}).ok());
    EXPECT_EQ(snapshot(), before);
}

TEST_F(SharingTest, TakesAPortNumberThatIsFree) {
    makeForeignPort("40000", "1");
    makeForeignPort("40001", "2");
    const TreeSnapshot before = snapshot();
    auto target = start();
    EXPECT_TRUE(snapshot().contains("ports/40002/subsystems/" + target->subsystemNqn()));
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

// Case 17: a whole foreign configuration beside ours.
TEST_F(SharingTest, LeavesForeignObjectsAlone) {
    const std::string host = "nqn.2014-08.org:host";
    makeForeignPort("1", "4421");
    makeForeignPort("2", "4422");  // never linked
    makeForeignSubsystem("nqn.2014-08.org:foreign");
    // Looks nearly like one of ours.
    makeForeignSubsystem(std::string(kSubsystemNqnPrefix) + "not-a-uuid");
    makeForeignHost(host);
    makeForeignHost("nqn.2014-08.org:other");
    link("subsystems/nqn.2014-08.org:foreign", "ports/1/subsystems/nqn.2014-08.org:foreign");
    link("hosts/" + host, "subsystems/nqn.2014-08.org:foreign/allowed_hosts/" + host);
    const TreeSnapshot before = snapshot();

    options_.allowedHosts = {host, "nqn.2014-08.org:other", "nqn.2014-08.org:mine"};
    auto target = start();
    ASSERT_NE(target, nullptr);
    ASSERT_TRUE(target->addFile(1, files_.file("file", 4096), 4096).ok());
    const TreeSnapshot running = snapshot();
    for (const auto& [path, content] : before) EXPECT_EQ(running.at(path), content) << path;
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

TEST_F(SharingTest, TargetsShareHostsThatTheyMade) {
    options_.allowedHosts = {"nqn.2014-08.org:host"};
    const TreeSnapshot before = snapshot();
    auto a = start(), b = start();
    a.reset();
    EXPECT_TRUE(snapshot().contains("hosts/nqn.2014-08.org:host"));
    b.reset();
    EXPECT_EQ(snapshot(), before);
}

TEST_F(SharingTest, LeavesAHostThatOthersCameToUse) {
    makeForeignSubsystem("nqn.2014-08.org:foreign");
    options_.allowedHosts = {"nqn.2014-08.org:host"};
    auto target = start();
    const std::string link = "subsystems/nqn.2014-08.org:foreign/allowed_hosts/x";
    this->link("hosts/nqn.2014-08.org:host", link);
    target.reset();
    EXPECT_TRUE(snapshot().contains("hosts/nqn.2014-08.org:host"));
    // It is still known to be ours, and goes when it is free.
    ASSERT_EQ(nvmet_->unlink(nvmetDir_.path() + "/" + link), 0);
    start().reset();
    EXPECT_THAT(pathsWith(snapshot(), "hosts/nqn."), IsEmpty());
}

TEST_F(SharingTest, LeavesAPortThatOthersCameToUse) {
    makeForeignSubsystem("nqn.2014-08.org:foreign");
    auto target = start();
    const std::string link = "ports/40000/subsystems/x";
    this->link("subsystems/nqn.2014-08.org:foreign", link);
    target.reset();
    const TreeSnapshot left = snapshot();
    EXPECT_TRUE(left.contains(link));
    EXPECT_TRUE(left.contains("ports/40000/referrals/mooncake-nvmeof-generic." +
                              std::to_string(networkNamespace())));
    // The next target at this address joins it again.
    target = start();
    EXPECT_THAT(ports(), SizeIs(1));
    target.reset();
    EXPECT_EQ(snapshot(), left);
    ASSERT_EQ(nvmet_->unlink(nvmetDir_.path() + "/" + link), 0);
    start().reset();
    EXPECT_THAT(ports(), IsEmpty());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
