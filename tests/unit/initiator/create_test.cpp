// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "connect_error.h"
#include "fake_host.h"
#include "libnvme_fabrics.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

// Case 48: the module is missing.
TEST(InitiatorCreate, SaysWhatToLoad) {
    const FakeHost host;
    const auto created = Initiator::create(host.options());
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error().code, ENOENT);
    EXPECT_THAT(created.error().message, HasSubstr("/nvme-fabrics"));
    EXPECT_THAT(created.error().message, HasSubstr("modprobe"));
}

// Case 48: not root.
TEST(InitiatorCreate, SaysWhoMayConnect) {
    const FakeHost host;
    FakeHost::write(host.dev() / "nvme-fabrics", "");
    ASSERT_EQ(chmod((host.dev() / "nvme-fabrics").c_str(), 0400), 0);
    // What is not ours to read must not hide what is asked for here.
    for (const auto& dir : {host.dev(), host.dev().parent_path()})
        ASSERT_EQ(chmod(dir.c_str(), 0755), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        constexpr uid_t kNobody = 65534;
        if (geteuid() == 0 && setuid(kNobody) != 0) _exit(1);
        const auto created = Initiator::create(host.options());
        const bool clear = !created.ok() && created.error().code == EACCES &&
                           created.error().message.find("root") != std::string::npos;
        _exit(clear ? 0 : 2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(InitiatorCreate, AcceptsAHostThatCanConnect) {
    const FakeHost host;
    FakeHost::write(host.dev() / "nvme-fabrics", "");
    const auto created = Initiator::create(host.options());
    EXPECT_TRUE(created.ok()) << created.error().message;
}

// Case 23, the initiator's side: a key is not forgotten silently.
TEST(InitiatorCreate, NeedsAKernelThatTakesItsKey) {
    const FakeHost host;
    auto options = host.options();
    options.keyFile = host.dev() / "key";
    FakeHost::write(host.dev() / "nvme-fabrics", "instance=-1,cntlid=-1,hostnqn=%s,discovery\n");
    FakeHost::write(options.keyFile,
                    "host_key=DHHC-1:00:JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2:\n");
    ASSERT_EQ(chmod(options.keyFile.c_str(), 0600), 0);
    auto created = Initiator::create(options);
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error().code, EOPNOTSUPP);
    EXPECT_THAT(created.error().message, HasSubstr("CONFIG_NVME_HOST_AUTH"));

    FakeHost::write(host.dev() / "nvme-fabrics", "instance=-1,cntlid=-1,dhchap_secret=%s\n");
    created = Initiator::create(options);
    EXPECT_TRUE(created.ok()) << created.error().message;

    ASSERT_EQ(chmod(options.keyFile.c_str(), 0640), 0);
    created = Initiator::create(options);
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error().code, EACCES);
    EXPECT_THAT(created.error().message, testing::Not(HasSubstr("JTA7")));
}

TEST(InitiatorCreate, SaysWhichFileIsMalformed) {
    const FakeHost host;
    FakeHost::write(host.etc() / "nvme/hostnqn", "my-host");
    auto options = host.options();
    options.hostNqn.clear();
    const auto created = Initiator::create(options);
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error().code, EINVAL);
    EXPECT_THAT(created.error().message, HasSubstr((host.etc() / "nvme/hostnqn").string()));
}

// Case 50.
TEST(InitiatorCreate, RefusesOptionsThatMakeNoSense) {
    const FakeHost host;
    const std::pair<const char*, void (*)(InitiatorOptions&)> bad[] = {
        {"connectTimeout", [](InitiatorOptions& o) { o.connectTimeout = 0s; }},
        {"keepAlive", [](InitiatorOptions& o) { o.keepAlive = 0s; }},
        {"reconnectDelay", [](InitiatorOptions& o) { o.reconnectDelay = -1s; }},
        {"fastIoFail", [](InitiatorOptions& o) { o.fastIoFail = 0s; }},
        {"fastIoFail", [](InitiatorOptions& o) { o.fastIoFail = 86401s; }},
        {"controllerLoss", [](InitiatorOptions& o) { o.controllerLoss = 1s; }},
        {"controllerLoss", [](InitiatorOptions& o) { o.reconnectDelay = 61s; }},
        {"ioQueues", [](InitiatorOptions& o) { o.ioQueues = 1025; }},
        {"queueDepth", [](InitiatorOptions& o) { o.queueDepth = 15; }},
        {"queueDepth", [](InitiatorOptions& o) { o.queueDepth = 1025; }},
        {"NQN", [](InitiatorOptions& o) { o.hostNqn = "my-host"; }}};
    for (const auto& [name, spoil] : bad) {
        auto options = host.options();
        spoil(options);
        const auto created = Initiator::create(options);
        ASSERT_FALSE(created.ok()) << name;
        EXPECT_EQ(created.error().code, EINVAL) << created.error().message;
        EXPECT_THAT(created.error().message, HasSubstr(name));
    }
    EXPECT_TRUE(checkInitiatorOptions(InitiatorOptions{}).ok());
    InitiatorOptions named;
    named.hostNqn = kHostNqn;
    EXPECT_TRUE(checkInitiatorOptions(named).ok());
    named.hostNqn += ",";
    EXPECT_FALSE(checkInitiatorOptions(named).ok());
}

int openDescriptors() {
    int count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

// Case 48, where the kernel says it only when it connects.
TEST(ConnectError, SaysWhatToDo) {
    const TransportAddress address{"rdma", "ipv4", "192.0.2.7", "4420"};
    const std::pair<int, const char*> remedies[] = {{EACCES, "needs root"},
                                                    {EPERM, "needs root"},
                                                    {ENOENT, "nvme-fabrics nvme-rdma"},
                                                    {ENODEV, "nvme-fabrics nvme-rdma"},
                                                    {EINVAL, "module nvme-rdma missing"},
                                                    {ECONNREFUSED, "nothing listens"},
                                                    {ETIMEDOUT, "does not answer"},
                                                    {EIO, kHostNqn.c_str()}};
    for (const auto& [code, remedy] : remedies) {
        const Error error = connectError(code, {address}, kNqn, kHostNqn);
        EXPECT_EQ(error.code, code);
        EXPECT_THAT(error.message, HasSubstr(kNqn));
        EXPECT_THAT(error.message, HasSubstr("traddr=192.0.2.7"));
        EXPECT_THAT(error.message, HasSubstr(remedy)) << code;
    }
}

// With or without a kernel that could connect: nothing listens at port 1.
TEST(Libnvme, FailsWithAnErrnoAndWithoutAWord) {
    const FakeHost host;
    const TransportAddress nowhere{"tcp", "ipv4", "127.0.0.1", "1"};
    const int before = openDescriptors();
    testing::internal::CaptureStderr();
    const auto connected =
        connectWithLibnvme({nowhere}, kNqn, HostIdentity{kHostNqn, kHostId}, host.options(), {});
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    ASSERT_FALSE(connected.ok());
    const bool noKernel = access("/dev/nvme-fabrics", F_OK) != 0;
    if (noKernel) {
        EXPECT_EQ(connected.error().code, ENOENT) << connected.error().message;
        EXPECT_THAT(connected.error().message, HasSubstr("modprobe"));
    }
    EXPECT_GT(connected.error().code, 0);
    EXPECT_LT(connected.error().code, 1000) << "not a code of libnvme's own";
    EXPECT_THAT(connected.error().message, HasSubstr(kNqn));
    EXPECT_EQ(openDescriptors(), before);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
