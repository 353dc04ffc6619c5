// SPDX-License-Identifier: Apache-2.0
// A segment with several addresses.
#include "path_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "fake_host.h"
#include "log_lines.h"
#include "sysfs_nvme.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const TransportAddress kSecond{"tcp", "ipv4", "198.51.100.7", "4420"};
const TransportAddress kThird{"tcp", "ipv4", "203.0.113.7", "4420"};
const TransportAddress kEvil{"tcp", "ipv4", "203.0.113.66", "4420"};
const TransportAddresses kBoth{kAddress, kSecond};

class PathGroupTest : public testing::Test {
 protected:
    PathGroupTest() { setMultipath("Y"); }

    void setMultipath(const std::string& value) {
        const fs::path folder = host.sys() / "module/nvme_core/parameters";
        fs::create_directories(folder);
        FakeHost::write(folder / "multipath", value);
    }
    InitiatorOptions allPaths() const {
        auto options = host.options();
        options.allPaths = true;
        return options;
    }
    std::shared_ptr<Connection> connect(const TransportAddresses& addresses = kBoth) {
        auto connected = initiator->connect(addresses, kNqn);
        EXPECT_TRUE(connected.ok()) << connected.error().message;
        return connected.ok() ? connected.take() : nullptr;
    }
    Error errorOf(const TransportAddresses& addresses) {
        const auto connected = initiator->connect(addresses, kNqn);
        return connected.ok() ? Error{0, {}} : connected.error();
    }
    /// The controllers' names by address.
    std::map<std::string, std::string> controllers() {
        std::map<std::string, std::string> found;
        const auto all = SysfsNvme(host.sys()).controllers();
        for (const auto& one : all.value()) found[one.traddr] = one.name;
        return found;
    }
    static bool allAreThere(const std::shared_ptr<Connection>& connection) {
        const auto& controllers = dynamic_cast<const KernelConnection&>(*connection);
        return eventually([&controllers, board = connection->paths()] {
            const auto paths = board->read();
            // The statistics know of one a moment before it is used.
            return controllers.controllers().size() == paths.size() &&
                   std::all_of(paths.begin(), paths.end(),
                               [](const auto& path) { return path.state == "live"; });
        });
    }
    /// Probes of this address fail with `code`, or 0.
    void failProbesOf(const TransportAddress& address, int code) {
        const std::lock_guard guard(mutex);
        probeErrors[address.traddr] = code;
    }

    std::mutex mutex;
    std::map<std::string, int> probeErrors;
    std::atomic<int> silent{0};  // probes that hang
    FakeHost host;
    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::unique_ptr<Initiator> initiator = makeInitiator(host, fabrics, allPaths());

    static constexpr int kSilence = -1;

    void SetUp() override {
        fabrics->onProbe = [this](const Path& path, const std::stop_token& stop) {
            int code = 0;
            {
                const std::lock_guard guard(mutex);
                code = probeErrors[path.target.traddr];
            }
            if (code != kSilence) return code;
            ++silent;
            std::mutex own;
            std::condition_variable_any stopped;
            std::unique_lock lock(own);
            stopped.wait(lock, stop, [] { return false; });
            --silent;
            return ECANCELED;
        };
    }
};

TEST_F(PathGroupTest, EveryAddressIsAPath) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    EXPECT_TRUE(connection->isLive());
    EXPECT_TRUE(connection->isOurs());
    EXPECT_EQ(connect(), connection) << "one connection for all who ask";
    EXPECT_EQ(connect({kSecond, kAddress}), connection) << "in any order";
    EXPECT_EQ(fabrics->made, 2);
    connection.reset();
    EXPECT_TRUE(controllers().empty()) << "all are disconnected";
}

TEST_F(PathGroupTest, ASilentPathDelaysNobody) {
    failProbesOf(kAddress, kSilence);
    auto connection = connect();
    EXPECT_TRUE(connection->isLive());
    EXPECT_TRUE(eventually([&] { return silent == 1; })) << "still being asked";
    EXPECT_FALSE(controllers().contains(kAddress.traddr));
    connection.reset();
    EXPECT_EQ(silent, 0) << "its end waits for no answer";
}

TEST_F(PathGroupTest, APathThatComesLaterIsTakenUp) {
    failProbesOf(kSecond, EHOSTUNREACH);
    test_support::LogLines log(google::GLOG_WARNING);
    auto connection = connect();
    EXPECT_FALSE(controllers().contains(kSecond.traddr));
    EXPECT_TRUE(log.waitFor("fake probe")) << "that it is missing is told";
    failProbesOf(kSecond, 0);
    EXPECT_TRUE(allAreThere(connection));
    EXPECT_EQ(connect(), connection);
}

// The first pauses are half a second and a second, give or take a quarter.
TEST_F(PathGroupTest, APathThatCannotBeMadeIsTriedMoreAndMoreRarely) {
    failProbesOf(kSecond, EHOSTUNREACH);
    const auto start = std::chrono::steady_clock::now();
    auto connection = connect();
    ASSERT_TRUE(eventually([&] { return connection->paths()->read()[1].failedAttempts >= 3; }));
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(375 + 750));
    EXPECT_TRUE(controllers().contains(kAddress.traddr)) << "which costs the other one nothing";
}

TEST_F(PathGroupTest, APathThatIsGoneIsMadeAgain) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    host.removeController(controllers()[kSecond.traddr]);
    EXPECT_TRUE(connection->isLive());
    EXPECT_TRUE(eventually([&] { return fabrics->made == 3; }));
    EXPECT_TRUE(allAreThere(connection));
    EXPECT_EQ(connect(), connection);
}

TEST_F(PathGroupTest, NoneThatCanBeConnectedIsAnErrorOfAll) {
    failProbesOf(kAddress, ECONNREFUSED);
    failProbesOf(kSecond, EHOSTUNREACH);
    const test_support::LogLines log(google::GLOG_WARNING);
    const Error error = errorOf(kBoth);
    EXPECT_EQ(error.code, ECONNREFUSED) << "the first one's";
    EXPECT_TRUE(controllers().empty());
    EXPECT_EQ(log.text(), "") << "whoever asks again and again says it in his own time";
}

// The kernel is asked for others as long as it restores one.
TEST_F(PathGroupTest, IsUpAsLongAsOnePathIs) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    const auto names = controllers();
    host.setState(names.at(kAddress.traddr), "connecting");
    EXPECT_TRUE(connection->isLive());
    host.setState(names.at(kSecond.traddr), "resetting");
    EXPECT_FALSE(connection->isLive());
    EXPECT_TRUE(connection->isReconnecting());
    EXPECT_EQ(connect(), connection) << "the kernel restores them";
    host.setState(names.at(kSecond.traddr), "live");
    EXPECT_TRUE(connection->isLive());
}

TEST_F(PathGroupTest, AnswersWhenOnePathDoes) {
    std::atomic<bool> hangs{false}, isDead{false};
    std::string lost;
    fabrics->onProvoke = [&](const std::string& controller) {
        while (hangs && controller == lost) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return !isDead;
    };
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    lost = controllers()[kAddress.traddr];
    hangs = true;
    EXPECT_TRUE(connection->provokeAnswer(nullptr)) << "without waiting for the other one";
    isDead = true;
    hangs = false;
    EXPECT_TRUE(eventually([&] { return !connection->provokeAnswer(nullptr); }));
    connection.reset();
}

// What was open on the disks of before is gone with the last path.
// Its admin queue answers.
TEST_F(PathGroupTest, APathThatKeepsItsIoIsReset) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    const auto shows = [&](const TransportAddress& address, const std::string& inFlight) {
        const fs::path disk = host.controllerDir(controllers()[address.traddr]) / "nvme0c0n1";
        fs::create_directories(disk);
        FakeHost::write(disk / "stat", " 10 0 16 5 20 0 32 5 " + inFlight + " 0 0");
    };
    shows(kAddress, "0");
    shows(kSecond, "3");
    EXPECT_TRUE(eventually([&] {
        EXPECT_TRUE(connection->provokeAnswer(nullptr));
        return fabrics->resets > 0;
    }));
    EXPECT_TRUE(connection->isLive());
}

TEST_F(PathGroupTest, IsAtItsEndWithTheLastPath) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    failProbesOf(kAddress, ECONNREFUSED);
    failProbesOf(kSecond, ECONNREFUSED);
    for (const auto& [address, name] : controllers()) host.removeController(name);
    EXPECT_FALSE(connection->isLive());
    EXPECT_EQ(errorOf(kBoth).code, ECONNREFUSED);
    failProbesOf(kAddress, 0);
    failProbesOf(kSecond, 0);
    const auto fresh = connect();
    EXPECT_NE(fresh, connection);
    EXPECT_TRUE(allAreThere(fresh));
}

// It is those who ask again that get new disks.
TEST_F(PathGroupTest, DoesNotComeBackAfterItsEnd) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    for (const auto& [address, name] : controllers()) host.removeController(name);
    const auto fresh = connect();
    EXPECT_NE(fresh, connection);
    ASSERT_TRUE(allAreThere(fresh));
    ASSERT_TRUE(eventually([&] {
        const auto paths = connection->paths()->read();
        return paths[0].losses + paths[1].losses > 0;
    }));
    // By when this one has noticed and done something, so would the other.
    host.removeController(controllers()[kSecond.traddr]);
    ASSERT_TRUE(eventually([&] { return fresh->paths()->read()[1].connects == 2; }));
    EXPECT_FALSE(connection->isLive());
    for (const auto& path : connection->paths()->read()) EXPECT_EQ(path.connects, 1u);
}

// The kernel has joined it to ours.
TEST_F(PathGroupTest, SomebodyElsesPathIsUsedAndLeftAlone) {
    host.addController({.name = "nvme7"});
    host.addDisk(host.controllerDir("nvme7"), kNqn, {.name = "nvme7c7n1", .minor = 7});
    std::mutex own;
    std::vector<std::string> asked;
    fabrics->onProvoke = [&](const std::string& controller) {
        const std::lock_guard guard(own);
        asked.push_back(controller);
        return true;
    };
    failProbesOf(kSecond, EHOSTUNREACH);
    auto connection = connect();
    // Later, so that what its thread does is done by that of the first one, too.
    failProbesOf(kSecond, 0);
    ASSERT_TRUE(allAreThere(connection));
    EXPECT_EQ(fabrics->made, 1);
    const std::string ours = controllers()[kSecond.traddr];
    const auto merging = [&](const std::string& disk) {
        return FakeHost::read(host.sys() / "class/nvme" / disk / "queue/nomerges");
    };
    host.addDisk(host.controllerDir(ours), kNqn, {.name = "nvme7c0n1", .minor = 8});
    EXPECT_TRUE(eventually([&] { return merging(ours + "/nvme7c0n1") == "2"; }));
    EXPECT_TRUE(connection->provokeAnswer(nullptr));
    EXPECT_EQ(merging("nvme7/nvme7c7n1"), "0");
    connection->giveUp();
    EXPECT_TRUE(eventually([&] { return !controllers().contains(kSecond.traddr); }));
    EXPECT_NE(connect(), connection) << "it was given up, whatever is left of it";
    connection.reset();
    EXPECT_TRUE(fs::exists(host.controllerDir("nvme7")));
    const std::lock_guard guard(own);
    EXPECT_THAT(asked, testing::Not(testing::Contains("nvme7")));
}

TEST_F(PathGroupTest, APathThatIsUpIsNamedFirst) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    for (const auto& [address, name] : controllers()) {
        const auto other =
            controllers()[address == kAddress.traddr ? kSecond.traddr : kAddress.traddr];
        host.setState(name, "connecting");
        const auto all = dynamic_cast<KernelConnection&>(*connection).controllers();
        ASSERT_EQ(all.size(), 2u);
        EXPECT_EQ(all[0]->controllerName(), other);
        host.setState(name, "live");
    }
}

TEST_F(PathGroupTest, IsGivenUpAsAWhole) {
    auto connection = connect();
    ASSERT_TRUE(allAreThere(connection));
    connection->giveUp();
    EXPECT_FALSE(connection->isLive());
    std::shared_ptr<Connection> fresh;
    EXPECT_TRUE(eventually([&] {
        auto again = initiator->connect(kBoth, kNqn);
        if (again.ok()) fresh = again.take();
        return fresh != nullptr;
    }));
    EXPECT_NE(fresh, connection);
    EXPECT_TRUE(allAreThere(fresh));
}

// To take a path down may take the kernel two seconds.
TEST_F(PathGroupTest, AllPathsAreGivenUpAtTheSameTime) {
    constexpr size_t kPaths = 16;
    TransportAddresses many;
    for (size_t i = 0; i < kPaths; ++i) {
        many.push_back({"tcp", "ipv4", "192.0.2." + std::to_string(i + 1), "4420"});
    }
    auto connection = connect(many);
    ASSERT_TRUE(allAreThere(connection));
    std::mutex own;
    std::condition_variable changed;
    size_t begun = 0;
    std::atomic<bool> together{true};
    fabrics->onDisconnect = [&] {
        std::unique_lock lock(own);
        ++begun;
        changed.notify_all();
        const bool all =
            changed.wait_for(lock, std::chrono::seconds(10), [&] { return begun == kPaths; });
        if (!all) together = false;
    };
    connection->giveUp();
    EXPECT_TRUE(eventually([&] { return controllers().empty(); }));
    EXPECT_TRUE(together);
    connection.reset();
    initiator.reset();  // whose removals use what is here
}

// The kernel would go on with what it has over the path that came last.
TEST_F(PathGroupTest, APathThatComesWhileItIsGivenUpGoesToo) {
    std::promise<void> coming, goes;
    fabrics->onConnect = [&] {
        if (fabrics->made == 0) return;
        coming.set_value();
        goes.get_future().wait();
    };
    failProbesOf(kSecond, EHOSTUNREACH);
    auto connection = connect();
    failProbesOf(kSecond, 0);
    coming.get_future().wait();
    // The kernel is at it, and cannot be stopped.
    connection->giveUp();
    EXPECT_TRUE(eventually([&] { return !connection->isLive(); }));
    goes.set_value();
    EXPECT_TRUE(eventually([&] { return fabrics->made == 2 && controllers().empty(); }));
    connection.reset();
}

// A path that lets small packets pass alone connects again and again.
class LamePathTest : public PathGroupTest {
 protected:
    void SetUp() override {
        PathGroupTest::SetUp();
        fabrics->onProvoke = [this](const std::string& controller) {
            if (FakeHost::read(host.controllerDir(controller) / "address").find(kSecond.traddr) ==
                std::string::npos) {
                return true;
            }
            ++asked;
            return answers.load();
        };
    }
    void TearDown() override {
        connection.reset();  // whose threads ask
    }
    /// The second path, which is up, is lost and comes back.
    void comeBack() {
        const std::string lame = controllers()[kSecond.traddr];
        const uint64_t losses = connection->paths()->read()[1].losses;
        const int before = asked;
        host.setState(lame, "connecting");
        ASSERT_TRUE(
            eventually([&] { return connection->paths()->read()[1].losses == losses + 1; }));
        host.setState(lame, "live");
        ASSERT_TRUE(eventually([&] { return asked == before + 1; }));
    }

    std::atomic<int> asked{0};
    std::atomic<bool> answers{false};
    std::shared_ptr<Connection> connection;
};

TEST_F(LamePathTest, IsPutAside) {
    connection = connect({kAddress, kSecond, kThird});
    ASSERT_TRUE(allAreThere(connection));
    for (const bool answer : {false, false, true, false, false, false}) {
        ASSERT_TRUE(controllers().contains(kSecond.traddr)) << "three in a row";
        answers = answer;
        ASSERT_NO_FATAL_FAILURE(comeBack());
    }
    EXPECT_TRUE(eventually([&] { return !controllers().contains(kSecond.traddr); }));
    EXPECT_TRUE(connection->isLive());
    // Not at once, as the other one is that is gone.
    host.removeController(controllers()[kAddress.traddr]);
    EXPECT_TRUE(eventually([&] { return controllers().contains(kAddress.traddr); }));
    EXPECT_FALSE(controllers().contains(kSecond.traddr));
}

TEST_F(LamePathTest, IsBetterThanNone) {
    failProbesOf(kAddress, EHOSTUNREACH);
    connection = connect();
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(controllers().contains(kSecond.traddr)) << i;
        ASSERT_NO_FATAL_FAILURE(comeBack());
    }
}

// A node that publishes another one's NQN, with that one's addresses and its own.
TEST_F(PathGroupTest, NobodyAddsAPathToAnothersDisks) {
    for (auto& [first, second] :
         {std::pair<TransportAddresses, TransportAddresses>{kBoth, {kAddress, kEvil}},
          {{kAddress}, {kAddress, kEvil}},
          {{kAddress, kEvil}, {kAddress}}}) {
        auto connection = connect(first);
        const auto other = makeInitiator(host, fabrics);  // another process
        for (Initiator* who : {initiator.get(), other.get()}) {
            const auto refused = who->connect(second, kNqn);
            ASSERT_FALSE(refused.ok());
            EXPECT_EQ(refused.error().code, EADDRINUSE) << refused.error().message;
        }
        connection.reset();
    }
}

TEST_F(PathGroupTest, AControllerElsewhereKeepsEveryPathFromBeingMade) {
    host.addController({.name = "nvme7", .address = "traddr=203.0.113.66,trsvcid=4420"});
    const Error error = errorOf(kBoth);
    EXPECT_EQ(error.code, EADDRINUSE);
    EXPECT_THAT(error.message, HasSubstr("nvme7"));
    EXPECT_EQ(fabrics->made, 0);
}

// While it is not this one's turn yet.
TEST_F(PathGroupTest, AControllerElsewhereThatComesMeanwhileDoes) {
    fabrics->onProbe = [&](const Path&, const auto&) {
        host.addController({.name = "nvme7", .address = "traddr=203.0.113.66,trsvcid=4420"});
        return 0;
    };
    const auto refused = initiator->connect(kAddress, kNqn);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, EADDRINUSE) << refused.error().message;
    EXPECT_EQ(fabrics->made, 0);
}

TEST_F(PathGroupTest, ShowsItsPaths) {
    failProbesOf(kSecond, EHOSTUNREACH);
    host.addSubsystem("nvme-subsys0", kNqn, "nvme0");
    FakeHost::write(host.subsystemDir("nvme-subsys0") / "iopolicy", "numa");
    auto connection = connect();
    const auto board = connection->paths();
    const auto disk = host.controllerDir("nvme0") / "nvme0c0n1";
    fs::create_directory(disk);
    FakeHost::write(disk / "stat", " 10 0 16 5 20 0 32 5 0 0 0 0");
    auto paths = board->read();
    ASSERT_EQ(paths.size(), 2u);
    // Between two attempts.
    ASSERT_TRUE(eventually([&] {
        paths = board->read();
        return paths[0].connects == 1 && paths[0].policy == "queue-depth" &&
               paths[1].failedAttempts > 0 && paths[1].state == "down";
    }));
    EXPECT_EQ(paths[0].address, "192.0.2.7:4420");
    EXPECT_EQ(paths[0].controller, "nvme0");
    EXPECT_EQ(paths[0].state, "live");
    EXPECT_EQ(paths[0].connects, 1u);
    EXPECT_EQ(paths[0].bytesRead, 16u * 512);
    EXPECT_EQ(paths[0].bytesWritten, 32u * 512);
    EXPECT_EQ(paths[1].address, "198.51.100.7:4420");
    EXPECT_EQ(paths[1].state, "down");
    EXPECT_EQ(paths[1].policy, "");
    EXPECT_EQ(paths[1].connects, 0u);
    connection.reset();
    EXPECT_EQ(board->read()[0].state, "down") << "it outlives the connection";
}

// One path needs none, and what somebody else has set is his.
TEST_F(PathGroupTest, ThePolicyOfOnePathStaysAsItIs) {
    host.addSubsystem("nvme-subsys0", kNqn, "nvme0");
    const auto policy = host.subsystemDir("nvme-subsys0") / "iopolicy";
    FakeHost::write(policy, "numa");
    auto connection = connect({kAddress});
    EXPECT_EQ(connection->paths()->read()[0].policy, "numa");
    const auto single = makeInitiator(host, fabrics);
    connection.reset();
    const auto other = single->connect(kBoth, kNqn);
    ASSERT_TRUE(other.ok()) << other.error().message;
    EXPECT_EQ(other.value()->paths()->read()[0].policy, "numa");
    EXPECT_EQ(FakeHost::read(policy), "numa");
}

TEST_F(PathGroupTest, InterfacesMakePathsToo) {
    auto options = allPaths();
    options.hostInterfaces = {{"eth1", ""}, {"eth2", ""}};
    const auto own = makeInitiator(host, fabrics, options);
    auto connection = own->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    EXPECT_TRUE(eventually([&] { return fabrics->made == 2; }));
    EXPECT_EQ(connection.value()->paths()->read().size(), 2u);
    connection.value().reset();
}

// A kernel that does not join controllers to one disk, and who does not want it to.
class OnePathTest : public PathGroupTest, public testing::WithParamInterface<bool> {
 protected:
    void SetUp() override {
        PathGroupTest::SetUp();
        if (!GetParam()) setMultipath("N");
        initiator = makeInitiator(host, fabrics, GetParam() ? host.options() : allPaths());
    }
};

INSTANTIATE_TEST_SUITE_P(Reason, OnePathTest, testing::Bool(),
                         [](const auto& reason) { return reason.param ? "ByOption" : "ByKernel"; });

TEST_P(OnePathTest, OneIsUsedAndAnotherWhenItFails) {
    failProbesOf(kAddress, kSilence);
    auto connection = connect();
    EXPECT_EQ(fabrics->made, 1);
    EXPECT_TRUE(controllers().contains(kSecond.traddr)) << "the one that answers, at once";
    EXPECT_EQ(connect(), connection);
    failProbesOf(kAddress, 0);
    failProbesOf(kSecond, EHOSTUNREACH);
    connection->giveUp();
    const auto other = connect();
    EXPECT_NE(other, connection);
    EXPECT_TRUE(controllers().contains(kAddress.traddr));
    EXPECT_FALSE(controllers().contains(kSecond.traddr));
}

// The kernel would send what it has of one over the other.
TEST_P(OnePathTest, OneThatTheKernelRestoresGoesFirst) {
    failProbesOf(kSecond, ECONNREFUSED);
    auto connection = connect();
    ASSERT_EQ(controllers().size(), 1u);
    const auto other = makeInitiator(host, fabrics);
    host.setState(controllers()[kAddress.traddr], "connecting");
    failProbesOf(kAddress, EHOSTUNREACH);
    failProbesOf(kSecond, 0);
    const auto moved = other->connect(kBoth, kNqn);
    ASSERT_TRUE(moved.ok()) << moved.error().message;
    const auto found = controllers();
    EXPECT_EQ(found.size(), 1u);
    EXPECT_TRUE(found.contains(kSecond.traddr));
}

// Two processes that begin at the same time, and each of which is answered over another path.
TEST_P(OnePathTest, OneIsForAllProcessesOfTheMachine) {
    // While this one looks for a path, and while it waits for its turn.
    for (const int probe : {1, 2}) {
        const auto theirFabrics = std::make_shared<FakeFabrics>(host);
        theirFabrics->onProbe = [](const Path& path, const auto&) {
            return path.target == kAddress ? 0 : EHOSTUNREACH;
        };
        const auto they = makeInitiator(host, theirFabrics);
        std::shared_ptr<Connection> theirs;
        int probes = 0;  // of the second address, which come one after the other
        fabrics->onProbe = [&](const Path& path, const auto&) {
            if (path.target == kAddress) return EHOSTUNREACH;
            if (++probes == probe) theirs = they->connect(kBoth, kNqn).take();
            return 0;
        };
        auto ours = connect();
        EXPECT_GE(probes, probe);
        EXPECT_EQ(fabrics->made, 0);
        EXPECT_EQ(controllers().size(), 1u);
        EXPECT_TRUE(controllers().contains(kAddress.traddr));
        EXPECT_TRUE(theirs->isLive()) << "nobody took it from them";
        ours.reset();
    }
}

// Two containers with a /run of their own, which take no turns.
TEST_P(OnePathTest, TheYoungerOfTwoGoes) {
    const auto theirFabrics = std::make_shared<FakeFabrics>(host);
    theirFabrics->onProbe = [](const Path& path, const auto&) {
        return path.target == kAddress ? 0 : EHOSTUNREACH;
    };
    auto options = GetParam() ? host.options() : allPaths();
    options.runRoot = host.etc();
    const auto they = makeInitiator(host, theirFabrics, options);
    failProbesOf(kAddress, EHOSTUNREACH);
    std::shared_ptr<Connection> theirs;
    // Both have looked.
    fabrics->onConnect = [&] {
        if (!theirs) theirs = they->connect(kBoth, kNqn).take();
    };
    auto ours = connect();
    EXPECT_EQ(fabrics->made, 1);
    EXPECT_EQ(fabrics->disconnects, 1);
    EXPECT_EQ(controllers().size(), 1u);
    EXPECT_TRUE(controllers().contains(kAddress.traddr)) << "which both use";
    EXPECT_TRUE(theirs->isLive());
    EXPECT_TRUE(ours->isLive());
}

// It sees both, and stays: the other one goes.
TEST_P(OnePathTest, TheOlderOfTwoStays) {
    fabrics->onDisconnect = [&] { ADD_FAILURE(); };
    failProbesOf(kSecond, EHOSTUNREACH);
    fabrics->afterConnect = [&] {
        host.addController({.name = "nvme7", .address = "traddr=198.51.100.7,trsvcid=4420"});
    };
    auto ours = connect();
    ASSERT_TRUE(ours);
    EXPECT_TRUE(controllers().contains(kAddress.traddr));
    fabrics->onDisconnect = [] {};
}

// Beside the path that is there now: of what nobody uses any more.
TEST_P(OnePathTest, WhatAKilledProcessLeftGoesFirst) {
    for (const char* state : {"connecting", "live"}) {
        for (const bool sameInterfaces : {true, false}) {
            auto options = GetParam() ? host.options() : allPaths();
            if (!sameInterfaces) options.hostInterfaces = {{"eth1", ""}};
            const auto killed = makeInitiator(host, fabrics, options);
            failProbesOf(kAddress, 0);
            failProbesOf(kSecond, EHOSTUNREACH);
            const pid_t child = fork();
            ASSERT_GE(child, 0);
            if (child == 0) _exit(killed->connect(kBoth, kNqn).ok() ? 0 : 1);
            int status = 0;
            ASSERT_EQ(waitpid(child, &status, 0), child);
            ASSERT_EQ(status, 0);
            const std::string left = controllers().at(kAddress.traddr);
            host.setState(left, state);
            failProbesOf(kAddress, EHOSTUNREACH);
            failProbesOf(kSecond, 0);
            if (!sameInterfaces) options.hostInterfaces = {{"eth2", ""}};
            auto connected = makeInitiator(host, fabrics, options)->connect(kBoth, kNqn);
            ASSERT_TRUE(connected.ok()) << connected.error().message;
            auto connection = connected.take();
            connected = Error{0, {}};
            const bool joined = sameInterfaces && std::string(state) == "live";
            EXPECT_EQ(controllers().size(), 1u) << state;
            EXPECT_TRUE(controllers().contains((joined ? kAddress : kSecond).traddr)) << state;
            EXPECT_TRUE(connection->isOurs());
            connection.reset();
            EXPECT_TRUE(controllers().empty());
        }
    }
}

// Nor is what somebody else has made ours because nobody of us uses it.
TEST_P(OnePathTest, WhatSomebodyElseMadeStays) {
    for (const char* state : {"connecting", "live"}) {
        host.addController({.name = "nvme7", .state = state});
        failProbesOf(kAddress, EHOSTUNREACH);
        auto options = GetParam() ? host.options() : allPaths();
        options.connectTimeout = std::chrono::seconds(1);
        options.hostInterfaces = {{"eth1", ""}};
        const auto refused = makeInitiator(host, fabrics, options)->connect(kBoth, kNqn);
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().code, EBUSY) << refused.error().message;
        EXPECT_EQ(controllers().size(), 1u);
        EXPECT_EQ(fabrics->disconnects, 0);
        host.removeController("nvme7");
    }
}

// What a path loses is not always what an answer to a probe is made of.
TEST_P(OnePathTest, OneThatWasGivenUpIsNotTheFirstChoice) {
    // Its answer comes later each time.
    fabrics->onProbe = [](const Path& path, const auto&) {
        if (path.target == kSecond) std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return 0;
    };
    auto connection = connect();
    ASSERT_TRUE(controllers().contains(kAddress.traddr)) << "the first that answers";
    connection->giveUp();
    connection = connect();
    EXPECT_FALSE(controllers().contains(kAddress.traddr));
    ASSERT_TRUE(controllers().contains(kSecond.traddr));
    connection->giveUp();
    connection = connect();
    EXPECT_TRUE(controllers().contains(kAddress.traddr)) << "both were given up";
}

// It answers who asks, and not the kernel.
TEST_P(OnePathTest, OneThatCouldNotBeConnectedIsNotTheFirstChoice) {
    fabrics->onProbe = [](const Path& path, const auto&) {
        if (path.target == kSecond) std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return 0;
    };
    fabrics->onAddress = [this](const TransportAddress& address) {
        fabrics->failWith = address == kAddress ? ECONNRESET : 0;
    };
    EXPECT_EQ(errorOf(kBoth).code, ECONNRESET);
    auto connection = connect();
    EXPECT_TRUE(controllers().contains(kSecond.traddr));
}

// What ended a connect may have nothing to do with the path.
TEST_P(OnePathTest, OneWhoseConnectWasStoppedIsAsGoodAsBefore) {
    for (const auto& [code, same] : {std::pair(ECANCELED, true), {ENOMEM, true}, {EIO, false}}) {
        const std::string nqn = kNqn + std::to_string(code);
        failProbesOf(kSecond, EHOSTUNREACH);
        fabrics->failWith = code;
        const auto failed = initiator->connect(kBoth, nqn);
        ASSERT_FALSE(failed.ok());
        EXPECT_EQ(failed.error().code, code);
        fabrics->failWith = 0;
        failProbesOf(kSecond, 0);
        const auto connected = initiator->connect(kBoth, nqn);
        ASSERT_TRUE(connected.ok()) << connected.error().message;
        EXPECT_EQ(controllers().contains(kAddress.traddr), same) << code;
    }
}

// The kernel would send what it had over the new one.
TEST_P(OnePathTest, OneThatIsGoingIsWaitedFor) {
    host.addController({.name = "nvme7", .state = "deleting"});
    failProbesOf(kAddress, EHOSTUNREACH);
    auto options = GetParam() ? host.options() : allPaths();
    options.connectTimeout = std::chrono::seconds(1);
    const auto refused = makeInitiator(host, fabrics, options)->connect(kBoth, kNqn);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ETIMEDOUT);
    EXPECT_THAT(refused.error().message, HasSubstr("nvme7"));
    EXPECT_EQ(fabrics->made, 0);
    host.removeController("nvme7");
    EXPECT_TRUE(connect()->isLive());
}

// Each of them has but one path, and not the same.
TEST_P(OnePathTest, OtherInterfacesOfAnotherProcessAreOtherPaths) {
    const auto from = [&](const char* interface) {
        auto options = GetParam() ? host.options() : allPaths();
        options.hostInterfaces = {{interface, ""}};
        options.connectTimeout = std::chrono::seconds(1);
        return makeInitiator(host, fabrics, options);
    };
    const auto first = from("eth1"), second = from("eth2");
    const auto connection = first->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    const auto refused = second->connect(kAddress, kNqn);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, EBUSY) << refused.error().message;
    EXPECT_EQ(fabrics->made, 1);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
