// SPDX-License-Identifier: Apache-2.0
// Hosts that prove who they are, target and initiator together. On a kernel that cannot do it each
// test expects to be told so: nothing is exported, and nothing connected, unprotected.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "file_pattern.h"
#include "kernel_fixture.h"
#include "remote_host.h"
#include "swapping_tree.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

const std::string kHost = "nqn.2014-08.org.nvmexpress:keyed-host";
const std::string kKeyA = "DHHC-1:00:JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2:";
const std::string kKeyB = "DHHC-1:01:SlVga3aBjJeirbjDztnk7/oFEBsmMTxHUl1oc36JlJ9Udcmo:";
const std::string kKeyC =
    "DHHC-1:02:b3qFkJumsbzH0t3o8/4JFB8qNUBLVmFsd4KNmKOuucTP2uXw+wYRHCcyPUhTXml0QnvTEQ==:";

// How often the kernel is asked to connect.
class FabricsOpenings {
 public:
    FabricsOpenings() : events_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
        EXPECT_GE(inotify_add_watch(events_.get(), "/dev/nvme-fabrics", IN_OPEN), 0);
    }
    /// Since the last call.
    size_t count() const {
        inotify_event events[64];
        const ssize_t length = read(events_.get(), events, sizeof(events));
        return length > 0 ? static_cast<size_t>(length) / sizeof(inotify_event) : 0;
    }

 private:
    const UniqueFd events_;
};

class AuthenticationTest : public KernelTargetTest {
 protected:
    AuthenticationTest() {
        options_.allowedHosts = {kHost};
        options_.dhchapKeys = dir_.path();
        const std::string entry = nvmet("hosts/" + kHost);
        makeFolder(entry);
        supported_ = access((entry + "/dhchap_key").c_str(), F_OK) == 0;
        removeFolder(entry);
    }

    std::string keyFile(const std::string& name, const std::string& content) {
        const std::string path = dir_.path() + "/" + name;
        std::ofstream(path) << content << '\n';
        EXPECT_EQ(chmod(path.c_str(), 0600), 0);
        return path;
    }
    /// Case 23: the kernel cannot; nothing is exported, and the tree is what it was (TearDown()).
    void expectRefusal() {
        const Error error = errorOf(tryStart());
        EXPECT_EQ(error.code, EOPNOTSUPP) << error.message;
        EXPECT_THAT(error.message, HasSubstr("CONFIG_NVME_TARGET_AUTH"));
    }
    std::unique_ptr<Target> startWithFile() {
        auto target = start();
        const std::string path = dir_.path() + "/file";
        test_support::makeFile(path, kMiB);
        EXPECT_TRUE(target->addFile(1, path, kMiB).ok());
        return target;
    }
    /// Connects as the host, and reads a block. @param key  empty: without one
    static Result<> useAs(const Target& target, const std::string& keyFile) {
        InitiatorOptions options;
        options.hostNqn = kHost;
        options.keyFile = keyFile;
        auto initiator = Initiator::create(options);
        if (!initiator.ok()) return initiator.error();
        auto connection = initiator.value()->connect(kLoopback, target.subsystemNqn());
        if (!connection.ok()) return connection.error();
        expectHiddenKeys(!keyFile.empty());
        const auto device = initiator.value()->openNamespace(
            *connection.value(), 1, kMiB, O_DIRECT, std::chrono::steady_clock::now() + 30s);
        if (!device.ok()) return device.error();
        test_support::AlignedBuffer buffer(4096);
        EXPECT_EQ(pread(device.value().fd.get(), buffer.data(), 4096, 0), 4096);
        return {};
    }
    /// The kernel would show them to everyone.
    static void expectHiddenKeys(bool given) {
        size_t seen = 0;
        for (const auto& controller : std::filesystem::directory_iterator("/sys/class/nvme")) {
            struct stat status;
            const std::string path = controller.path() / "dhchap_secret";
            if (stat(path.c_str(), &status) != 0) continue;
            ++seen;
            EXPECT_EQ(status.st_mode & 0777, 0600u) << path;
        }
        EXPECT_EQ(seen, given ? 1u : seen);
    }

    bool supported_ = false;
};

// Cases 23 and 24.
TEST_F(AuthenticationTest, OnlyTheRightKeyConnects) {
    keyFile(kHost, "host_key=" + kKeyA);
    if (!supported_) return expectRefusal();
    testing::internal::CaptureStderr();
    auto target = startWithFile();
    struct stat status;
    ASSERT_EQ(stat(nvmet("hosts/" + kHost + "/dhchap_key").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << "the kernel shows the key to everyone";

    const std::string right = keyFile("right", "host_key=" + kKeyA),
                      wrong = keyFile("wrong", "host_key=" + kKeyB);
    for (int i = 0; i < 2; ++i) {
        const Error without = errorOf(useAs(*target, ""));
        EXPECT_EQ(without.code, ENOKEY) << without.message;
        EXPECT_THAT(without.message, HasSubstr("MC_NVMEOF_GENERIC_DHCHAP_KEY_FILE"));
        const Error refused = errorOf(useAs(*target, wrong));
        EXPECT_EQ(refused.code, EKEYREJECTED) << refused.message;
        EXPECT_THAT(refused.message, HasSubstr("other keys for host NQN " + kHost));
        const auto connected = useAs(*target, right);
        EXPECT_TRUE(connected.ok()) << connected.error().message;
    }
    EXPECT_FALSE(RemoteHost(kLoopback, target->subsystemNqn(), kHost).connected());
    EXPECT_FALSE(RemoteHost(kLoopback, target->subsystemNqn()).connected());
    target.reset();
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_THAT(log, Not(HasSubstr("DHHC-1"))) << "a key in the log";
}

// The kernel could wait a minute for the answer to one, with all connects of the machine held up.
TEST_F(AuthenticationTest, AHostWithoutTheRightKeyIsNotConnectedByTheKernel) {
    keyFile(kHost, "host_key=" + kKeyA);
    if (!supported_) return expectRefusal();
    auto target = startWithFile();
    const FabricsOpenings openings;
    for (const auto& [key, code] : {std::pair("", ENOKEY),
                                    {kKeyB.c_str(), EKEYREJECTED},
                                    {kKeyC.c_str(), EKEYREJECTED},
                                    {kKeyA.c_str(), 0}}) {
        InitiatorOptions options;
        options.hostNqn = kHost;
        if (*key != '\0') options.keyFile = keyFile("own", std::string("host_key=") + key);
        auto initiator = Initiator::create(options);
        ASSERT_TRUE(initiator.ok()) << initiator.error().message;
        openings.count();
        const auto connected = initiator.value()->connect(kLoopback, target->subsystemNqn());
        EXPECT_EQ(connected.ok() ? 0 : connected.error().code, code);
        EXPECT_EQ(openings.count() > 0, code == 0) << code;
    }
}

// What the target chooses, the probe computes as the kernel does. The largest groups take an
// emulated processor seconds, and are the unit tests'.
TEST_F(AuthenticationTest, WithEachHash) {
    const std::pair<const char*, const char*> choices[] = {{"sha256", "ffdhe2048"},
                                                           {"sha384", "null"},
                                                           {"sha384", "ffdhe3072"},
                                                           {"sha512", "ffdhe4096"}};
    for (const auto& [hash, group] : choices) {
        const std::string keys = "host_key=" + kKeyC + "\ncontroller_key=" + kKeyB;
        keyFile(kHost, keys + "\nhash=" + hash + "\ndhgroup=" + group);
        if (!supported_) return expectRefusal();
        auto target = startWithFile();
        const auto connected = useAs(*target, keyFile("right", keys));
        EXPECT_TRUE(connected.ok()) << hash << group << connected.error().message;
        const Error refused = errorOf(useAs(*target, keyFile("wrong", "host_key=" + kKeyA)));
        EXPECT_EQ(refused.code, EKEYREJECTED) << hash << group << refused.message;
    }
}

// The kernel makes the attribute readable for all: who opened it at once could read the key later.
TEST_F(AuthenticationTest, SomebodyWhoWaitsForTheKey) {
    keyFile(kHost, "host_key=" + kKeyA);
    if (!supported_) return expectRefusal();
    UniqueFd spy;
    const auto tree = std::make_shared<SwappingTree>(
        [] {},
        [&](const std::string& path) {
            spy = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        });
    const Error error = errorOf(Target::start(kLoopback, options_, tree));
    EXPECT_EQ(error.code, EBUSY) << error.message;
    ASSERT_TRUE(spy.valid());
    char content[256] = {};
    EXPECT_LE(read(spy.get(), content, sizeof(content) - 1), 1) << content;
}

// Case 24, both ways: the host finds out, too, that the target does not know its key.
TEST_F(AuthenticationTest, TheTargetProvesWhoItIs) {
    keyFile(kHost, "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB + "\nhash=sha384");
    if (!supported_) return expectRefusal();
    auto target = startWithFile();
    const auto connected =
        useAs(*target, keyFile("both", "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB));
    EXPECT_TRUE(connected.ok()) << connected.error().message;
    const Error refused = errorOf(
        useAs(*target, keyFile("impostor", "host_key=" + kKeyA + "\ncontroller_key=" + kKeyC)));
    EXPECT_EQ(refused.code, EKEYREJECTED) << refused.message;
}

// Keys are changed target by target, with both valid on the host: no host loses a target.
TEST_F(AuthenticationTest, AHostWithItsNewAndItsOldKeyReachesAllTargets) {
    keyFile(kHost, "host_key=" + kKeyA);
    if (!supported_) return expectRefusal();
    const std::string both = keyFile("both", "host_key=" + kKeyB + "\nhost_key=" + kKeyA);
    auto target = startWithFile();
    const auto withOld = useAs(*target, both);
    EXPECT_TRUE(withOld.ok()) << withOld.error().message;
    target.reset();
    keyFile(kHost, "host_key=" + kKeyB);
    target = startWithFile();
    const auto withNew = useAs(*target, both);
    EXPECT_TRUE(withNew.ok()) << withNew.error().message;
    const Error neither =
        errorOf(useAs(*target, keyFile("neither", "host_key=" + kKeyA + "\nhost_key=" + kKeyC)));
    EXPECT_EQ(neither.code, EKEYREJECTED) << neither.message;
    target.reset();
    // With keys of their own on the targets.
    keyFile(kHost, "host_key=" + kKeyA + "\ncontroller_key=" + kKeyC);
    target = startWithFile();
    const auto pairs = useAs(*target, keyFile("pairs", "host_key=" + kKeyB + "\nhost_key=" + kKeyA +
                                                           "\ncontroller_key=" + kKeyC));
    EXPECT_TRUE(pairs.ok()) << pairs.error().message;
}

// A target that has no key of its own is refused by a host that asks for one.
TEST_F(AuthenticationTest, ATargetWithoutAKeyOfItsOwn) {
    keyFile(kHost, "host_key=" + kKeyA);
    if (!supported_) return expectRefusal();
    auto target = startWithFile();
    EXPECT_FALSE(
        useAs(*target, keyFile("both", "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB)).ok());
}

// What a target does not ask for, the kernel does not do: a host's demand alone proves nothing.
TEST_F(AuthenticationTest, ATargetThatAsksForNothing) {
    keyFile(kHost, "host_key=" + kKeyA);
    if (!supported_) return expectRefusal();
    options_.dhchapKeys.clear();
    auto target = startWithFile();
    const auto connected =
        useAs(*target, keyFile("both", "host_key=" + kKeyA + "\ncontroller_key=" + kKeyB));
    EXPECT_TRUE(connected.ok()) << connected.error().message;
}

// Two targets share the host and its key; a third one with another key is refused, and disturbs
// nobody.
TEST_F(AuthenticationTest, TargetsShareAHost) {
    keyFile(kHost, "host_key=" + kKeyA);
    if (!supported_) return expectRefusal();
    auto target = startWithFile();
    const std::string right = keyFile("right", "host_key=" + kKeyA);
    {
        auto other = start();
        keyFile(kHost, "host_key=" + kKeyB);
        EXPECT_EQ(errorOf(tryStart()).code, EEXIST);
    }
    const auto connected = useAs(*target, right);
    EXPECT_TRUE(connected.ok()) << connected.error().message;
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
