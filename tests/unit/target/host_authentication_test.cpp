// SPDX-License-Identifier: Apache-2.0
// Hosts that must prove who they are.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "failing_tree.h"
#include "target_fixture.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;

const std::string kHost = "nqn.2014-08.org:host", kOther = "nqn.2014-08.org:other";
const std::string kKeyA = "DHHC-1:00:JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2:";
const std::string kKeyB = "DHHC-1:01:SlVga3aBjJeirbjDztnk7/oFEBsmMTxHUl1oc36JlJ9Udcmo:";

class HostAuthenticationTest : public TargetTest {
 protected:
    HostAuthenticationTest() {
        nvmet_->canAuthenticate = true;
        options_.allowedHosts = {kHost};
        options_.dhchapKeys = files_.path();
    }
    void giveKey(const std::string& host, const std::string& content) {
        const std::string path = files_.path() + "/" + host;
        std::ofstream(path) << content << '\n';
        ASSERT_EQ(chmod(path.c_str(), 0600), 0);
    }
    std::string entry(const std::string& attribute) const {
        return nvmetDir_.path() + "/hosts/" + kHost + "/" + attribute;
    }
    std::string attribute(const std::string& name) {
        std::string value;
        EXPECT_EQ(nvmet_->readFile(entry(name), value), 0);
        return value;
    }
    // As by hand or by nvmetcli.
    void makeForeignHost(const std::string& key) {
        ASSERT_EQ(nvmet_->makeDir(nvmetDir_.path() + "/hosts/" + kHost), 0);
        if (key.empty()) return;
        ASSERT_EQ(nvmet_->writeFile(entry("dhchap_key"), key), 0);
    }
};

TEST_F(HostAuthenticationTest, GivesTheKernelTheKeys) {
    giveKey(kHost,
            "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB + "\nhash=sha384\ndhgroup=ffdhe2048");
    const TreeSnapshot before = snapshot();
    auto target = start();
    EXPECT_EQ(attribute("dhchap_key"), kKeyA);
    EXPECT_EQ(attribute("dhchap_ctrl_key"), kKeyB);
    EXPECT_EQ(attribute("dhchap_hash"), "hmac(sha384)");
    EXPECT_EQ(attribute("dhchap_dhgroup"), "ffdhe2048");
    for (const char* name : {"dhchap_key", "dhchap_ctrl_key"}) {
        struct stat status;
        ASSERT_EQ(stat(entry(name).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u) << name << " is for everyone to read";
    }
    target.reset();
    EXPECT_EQ(snapshot(), before);
}

// Case 23: refused, never silently open.
TEST_F(HostAuthenticationTest, IsRefusedOnAKernelThatCannot) {
    nvmet_->canAuthenticate = false;
    giveKey(kHost, "host_key=" + kKeyA);
    const TreeSnapshot before = snapshot();
    const Error error = errorOf(tryStart());
    EXPECT_EQ(error.code, EOPNOTSUPP);
    EXPECT_THAT(error.message, HasSubstr("CONFIG_NVME_TARGET_AUTH"));
    EXPECT_EQ(snapshot(), before);
}

// Case 23: nor later, when a host is added; and nor beside an entry that somebody else made.
TEST_F(HostAuthenticationTest, IsRefusedWhenAHostIsAdded) {
    giveKey(kHost, "host_key=" + kKeyA);
    giveKey(kOther, "host_key=" + kKeyA);
    auto target = start();
    nvmet_->canAuthenticate = false;
    EXPECT_EQ(errorOf(target->setAllowedHosts({kHost, kOther})).code, EOPNOTSUPP);
    EXPECT_THAT(snapshot(), Not(Contains(Key(HasSubstr(kOther)))));
    target.reset();
    makeForeignHost("");
    EXPECT_EQ(errorOf(tryStart()).code, EOPNOTSUPP);
}

TEST_F(HostAuthenticationTest, NobodyIsLetInWithoutAKey) {
    const TreeSnapshot before = snapshot();
    EXPECT_EQ(errorOf(tryStart()).code, ENOENT) << "no key file";
    giveKey(kHost, "host_key=" + kKeyA);
    ASSERT_EQ(chmod((files_.path() + "/" + kHost).c_str(), 0644), 0);
    EXPECT_EQ(errorOf(tryStart()).code, EACCES) << "a key file for all to read";
    giveKey(kHost, "host_key=" + kKeyA.substr(1));
    const Error malformed = errorOf(tryStart());
    EXPECT_EQ(malformed.code, EINVAL);
    EXPECT_THAT(malformed.message, Not(HasSubstr("JTA7")));
    options_.allowedHosts.clear();
    EXPECT_EQ(errorOf(tryStart()).code, EINVAL) << "no list: the kernel would ask nobody for a key";
    EXPECT_EQ(snapshot(), before);
}

TEST_F(HostAuthenticationTest, TargetsShareAHostWithOneKey) {
    giveKey(kHost, "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB);
    const TreeSnapshot before = snapshot();
    auto a = start(), b = start();
    a.reset();
    EXPECT_EQ(attribute("dhchap_key"), kKeyA) << "still asked for by the other target";
    b.reset();
    EXPECT_EQ(snapshot(), before);
}

// A host's entry is one for the whole kernel: another key in it would lock the host out of the
// other target, or let in whoever knows the new one.
TEST_F(HostAuthenticationTest, NeverReplacesAKeyInUse) {
    giveKey(kHost, "host_key=" + kKeyA);
    auto first = start();
    const TreeSnapshot running = snapshot();
    for (const std::string& other :
         {"host_key=" + kKeyB, "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB,
          "host_key=" + kKeyA + "\nhash=sha512", "host_key=" + kKeyA + "\ndhgroup=ffdhe8192"}) {
        giveKey(kHost, other);
        const Error error = errorOf(tryStart());
        EXPECT_EQ(error.code, EEXIST) << error.message;
        EXPECT_THAT(error.message, HasSubstr(kHost));
        EXPECT_THAT(error.message, Not(HasSubstr("JTA7")));
        EXPECT_EQ(snapshot(), running);
    }
    first.reset();
    EXPECT_NE(start(), nullptr) << "nobody uses the old one any more";
}

TEST_F(HostAuthenticationTest, LeavesTheKeysOfOthersAlone) {
    giveKey(kHost, "host_key=" + kKeyA);
    for (const std::string& foreign : {std::string(), kKeyB}) {
        makeForeignHost(foreign);
        const TreeSnapshot before = snapshot();
        EXPECT_EQ(errorOf(tryStart()).code, EEXIST) << "key " << foreign;
        EXPECT_EQ(snapshot(), before);
        ASSERT_EQ(nvmet_->removeDir(nvmetDir_.path() + "/hosts/" + kHost), 0);
    }
    makeForeignHost(kKeyA);
    const TreeSnapshot before = snapshot();
    start().reset();
    EXPECT_EQ(snapshot(), before);
}

// Without keys of ours, a host that uses the same kernel elsewhere with one keeps that.
TEST_F(HostAuthenticationTest, DoesNotTakeAKeyAway) {
    options_.dhchapKeys.clear();
    makeForeignHost(kKeyA);
    const TreeSnapshot before = snapshot();
    start().reset();
    EXPECT_EQ(snapshot(), before);
}

// The kernel makes the attribute readable for all: who opened it at once could read the key later.
TEST_F(HostAuthenticationTest, GivesNoKeyToSomebodyWhoWaitsForIt) {
    giveKey(kHost, "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB);
    const TreeSnapshot before = snapshot();
    for (const char* name : {"dhchap_key", "dhchap_ctrl_key"}) {
        UniqueFd spy;
        nvmet_->afterMaking = [&](const std::string& path) {
            if (path.ends_with("/hosts/" + kHost)) {
                spy = UniqueFd(open(entry(name).c_str(), O_RDONLY | O_CLOEXEC));
            }
        };
        const Error error = errorOf(tryStart());
        EXPECT_EQ(error.code, EBUSY) << error.message;
        EXPECT_THAT(error.message, HasSubstr("fuser -v " + entry(name)));
        ASSERT_TRUE(spy.valid());
        char content[256] = {};
        EXPECT_GE(read(spy.get(), content, sizeof(content) - 1), 0);
        EXPECT_THAT(std::string(content), Not(HasSubstr("DHHC")));
        EXPECT_EQ(snapshot(), before);
    }
    nvmet_->afterMaking = nullptr;
    EXPECT_NE(start(), nullptr);
}

TEST_F(HostAuthenticationTest, EveryStepIsRolledBack) {
    giveKey(kHost, "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB + "\nhash=sha256");
    const TreeSnapshot before = snapshot();
    auto tree = std::make_shared<FailingTree>(nvmet_);
    std::vector<std::string> failures;
    for (int at = 1; at < 200; ++at) {
        tree->arm(at, EIO);
        auto started = Target::start(kLoopback, options_, tree);
        if (tree->failed().empty()) break;
        if (!started.ok() && tree->failed().find("/dhchap") != std::string::npos) {
            failures.push_back(tree->failed());
            EXPECT_THAT(started.error().message, Not(HasSubstr("JTA7")));
        }
        if (started.ok()) started.take().reset();
        ASSERT_EQ(snapshot(), before) << tree->failed();
    }
    EXPECT_EQ(failures.size(), 6u) << "look, hash, and for each key chmod and write";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
