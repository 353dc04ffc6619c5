// SPDX-License-Identifier: Apache-2.0
// A program that forks, as Python's multiprocessing does: the engine stays the parent's.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "fixture_control.h"
#include "http_storage.h"
#include "server_thread.h"
#include "transfer_engine.h"
#include "transfer_engine_c.h"

// LeakSanitizer asks this at the end of a process. What the threads of a parent have on their
// stacks is what they had for a child without these threads, and leaks of nobody's.
static const pid_t kParent = getpid();
extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off() {
    return getpid() != kParent ? 1 : 0;
}

namespace mooncake::test {
namespace {

constexpr char kProto[] = "fixture_good";
constexpr std::chrono::seconds kLimit(60);

// The exit status of a child that does `work` and then what `end` does; 128 + n for signal n, -1
// for one that hangs.
int inChild(const std::function<int()>& work, void (*end)(int) = _exit) {
    const pid_t child = fork();
    if (child == 0) end(work());
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    int status = -1;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > limit) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return -1;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class ForkTest : public ::testing::Test {
 protected:
    ForkTest() {
        setenv("MC_TRANSPORT_PLUGIN_PATH", FIXTURE_PLUGIN_FOLDER, 1);
        engine_ = std::make_unique<TransferEngine>();
        EXPECT_EQ(engine_->init(server_.url(), "parent"), 0);
        void* args[] = {&control_};
        EXPECT_NE(engine_->installTransport(kProto, args), nullptr);
        EXPECT_EQ(engine_->registerLocalFile("/a", 8192, file_), 0);
        EXPECT_TRUE(isPublished());
    }
    bool isPublished() {
        TransferMetadata metadata(server_.url());
        const auto desc = metadata.getSegmentDesc("parent");
        return desc && desc->file_buffers.size() == 1;
    }
    bool transfers(TransferEngine& engine) {
        char buffer[512] = {};
        TransferRequest request{};
        request.opcode = TransferRequest::WRITE;
        request.source = buffer;
        request.target_id = LOCAL_SEGMENT_ID;
        request.length = sizeof(buffer);
        request.file_id = file_;
        const BatchID batch = engine.allocateBatchID(1);
        if (!engine.submitTransfer(batch, {request}).ok()) return false;
        TransferStatus status{};
        while (engine.getTransferStatus(batch, 0, status).ok() &&
               status.s == TransferStatusEnum::WAITING) {
            engine.waitForProgress(std::chrono::milliseconds(1));
        }
        return engine.freeBatchID(batch).ok() && status.s == TransferStatusEnum::COMPLETED;
    }
    void expectUntouched() {
        EXPECT_TRUE(isPublished());
        EXPECT_EQ(control_.destroyed, 0);
        EXPECT_TRUE(transfers(*engine_));
    }

    ServerThread server_;
    FixtureControl control_;
    FileBufferID file_ = 0;
    std::unique_ptr<TransferEngine> engine_;
};

TEST_F(ForkTest, AChildMayDestroyItsCopy) {
    EXPECT_EQ(inChild([&] {
                  engine_.reset();
                  return control_.destroyed.load();
              }),
              0)
        << "the transport is the parent's";
    expectUntouched();
}

TEST_F(ForkTest, AChildMayFreeItsCopy) {
    EXPECT_EQ(inChild([&] { return engine_->freeEngine() == 0 ? 1 : 0; }), 0);
    EXPECT_EQ(inChild([&] { return engine_->uninstallTransport(kProto) == 0 ? 1 : 0; }), 0);
    EXPECT_EQ(inChild([&] {
                  auto metadata = engine_->getMetadata();
                  return metadata != nullptr;
              }),
              0);
    expectUntouched();
}

TEST_F(ForkTest, AChildMayDropTheMetadata) {
    auto metadata = engine_->getMetadata();
    EXPECT_EQ(inChild([&] {
                  if (metadata->removePublished() == 0) return 1;
                  if (metadata->removeSegmentDesc("parent") == 0) return 2;
                  if (metadata->getSegmentDescByID(LOCAL_SEGMENT_ID) != nullptr) return 3;
                  engine_.reset();
                  metadata.reset();
                  return 0;
              }),
              0);
    expectUntouched();
}

std::unique_ptr<TransferEngine> atExit;

TEST_F(ForkTest, AChildMayExit) {
    atExit = std::move(engine_);
    EXPECT_EQ(inChild([] { return 0; }, std::exit), 0);
    engine_ = std::move(atExit);
    expectUntouched();
}

TEST_F(ForkTest, EveryCallInAChildIsRefused) {
    const BatchID batch = engine_->allocateBatchID(4);
    EXPECT_EQ(inChild([&] {
                  TransferEngine& engine = *engine_;
                  void* args[] = {&control_};
                  char memory[64];
                  FileBufferID id = 0;
                  TransferStatus status{};
                  int failed = 0, at = 0;
                  const auto expect = [&](bool refused) {
                      ++at;
                      if (!refused && failed == 0) failed = at;
                  };
                  expect(engine.init(server_.url(), "child") != 0);
                  expect(engine.installTransport(kProto, args) == nullptr);
                  expect(engine.installTransport("other", args) == nullptr);
                  expect(engine.openSegment("parent") == TransferMetadata::kInvalidSegmentID);
                  expect(engine.closeSegment(0) != 0);
                  expect(engine.removeLocalSegment("parent") != 0);
                  expect(engine.registerLocalMemory(memory, 64) != 0);
                  expect(engine.unregisterLocalMemory(memory) != 0);
                  expect(engine.registerLocalMemoryBatch({{memory, 64}}, "cpu") != 0);
                  expect(engine.unregisterLocalMemoryBatch({memory}) != 0);
                  expect(!engine.checkOverlap(memory, 64));
                  expect(!engine.supportFileBuffer());
                  expect(engine.registerLocalFile("/b", 4096, id) != 0);
                  expect(engine.unregisterLocalFile("/a") != 0);
                  expect(engine.allocateBatchID(1) == Transport::INVALID_BATCH_ID);
                  expect(engine.submitTransfer(batch, {TransferRequest{}}).IsContext());
                  expect(engine.getTransferStatus(batch, 0, status).IsContext());
                  expect(engine.getBatchTransferStatus(batch, status).IsContext());
                  expect(engine.freeBatchID(batch).IsContext());
                  expect(!engine.waitForProgress(std::chrono::hours(1)));
                  expect(engine.getTransport(kProto) == nullptr);
                  expect(engine.syncSegmentCache() != 0);
                  expect(engine.getLocalIpAndPort().empty());
                  expect(engine.getRpcPort() < 0);
                  const Status refused = engine.freeBatchID(batch);
                  expect(std::string(refused.message()).find("forked off") != std::string::npos);
                  return failed;
              }),
              0)
        << "the call of this number was not refused";
    EXPECT_TRUE(engine_->freeBatchID(batch).ok());
    expectUntouched();
}

TEST_F(ForkTest, AChildMakesAnEngineOfItsOwn) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer now and then ends a child that starts a thread, for it has "
                    "the id of one of its parent's (\"dup thread with used id\")";
#endif
    EXPECT_EQ(inChild([&] {
                  engine_.reset();
                  FixtureControl control;
                  auto own = std::make_unique<TransferEngine>();
                  if (own->init(server_.url(), "child") != 0) return 1;
                  void* args[] = {&control};
                  if (own->installTransport(kProto, args) == nullptr) return 2;
                  if (own->registerLocalFile("/c", 4096, file_) != 0) return 3;
                  if (!transfers(*own)) return 4;
                  own.reset();
                  return control.destroyed == 1 ? 0 : 5;
              }),
              0);
    expectUntouched();
}

// One that was only made, not initialised, is nobody's yet.
TEST_F(ForkTest, AChildInitialisesWhatTheParentHasNot) {
    TransferEngine later;
    EXPECT_EQ(inChild([&] { return later.init(server_.url(), "child"); }), 0);
    EXPECT_EQ(later.init(server_.url(), "later"), 0);
}

// While a thread holds the engine's locks, and others transfer.
TEST_F(ForkTest, WhileOthersAreInTheMiddle) {
    std::atomic<bool> inside = false, stop = false;
    std::atomic<int> failures = 0;
    control_.on_register = [&] {
        inside = true;
        while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    FileBufferID id = 0;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { engine_->registerLocalFile("/slow", 4096, id); });
    while (!inside) std::this_thread::yield();
    for (int i = 0; i < 64; ++i) {
        threads.emplace_back([&] {
            while (!stop) failures += !transfers(*engine_);
        });
    }
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(inChild([&] {
                      if (engine_->uninstallTransport(kProto) == 0) return 1;
                      if (engine_->unregisterLocalFile("/a") == 0) return 2;
                      if (engine_->getMetadata() != nullptr) return 3;
                      engine_.reset();
                      return 0;
                  }),
                  0);
    }
    // From a thread of its own, too.
    std::thread([&] { EXPECT_EQ(inChild([] { return 7; }), 7); }).join();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures, 0);
    control_.on_register = [] {};
    EXPECT_EQ(engine_->unregisterLocalFile("/slow"), 0);
    expectUntouched();
}

TEST_F(ForkTest, InC) {
    transfer_engine_t engine = engine_.get();
    EXPECT_EQ(inChild([&] {
                  if (submitTransfer(engine, 1, nullptr, 0) == 0) return 1;
                  if (openSegment(engine, "parent") != -1) return 2;
                  destroyTransferEngine(engine);
                  return 0;
              }),
              0);
    expectUntouched();
}

// A listener that a child keeps would answer nobody, and hold its port.
TEST(ForkP2pTest, AChildDoesNotKeepThePort) {
    auto engine = std::make_unique<TransferEngine>();
    ASSERT_EQ(engine->init(P2PHANDSHAKE, "127.0.0.1"), 0);
    const std::string name = engine->getLocalIpAndPort();
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (write(ends[1], "x", 1) != 1) _exit(1);
        while (true) pause();
    }
    char begun;
    ASSERT_EQ(read(ends[0], &begun, 1), 1);
    close(ends[0]);
    close(ends[1]);
    engine.reset();
    auto again = std::make_unique<TransferEngine>();
    EXPECT_EQ(again->init(P2PHANDSHAKE, name), 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

// A name that answers is told apart from one where nobody listens by what it says of itself.
void expectAnswers(TransferMetadata& metadata, const std::string& name) {
    auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
    desc->name = name;
    desc->protocol = "nvmeof_generic";
    ASSERT_EQ(metadata.addLocalSegment(LOCAL_SEGMENT_ID, name, std::move(desc)), 0);
    ASSERT_EQ(metadata.updateLocalSegmentDesc(), 0);
    TransferEngine other;
    ASSERT_EQ(other.init(P2PHANDSHAKE, "127.0.0.1"), 0);
    EXPECT_NE(other.openSegment(name), TransferMetadata::kInvalidSegmentID);
}

TEST(ForkP2pTest, AChildDoesNotStopTheListener) {
    auto engine = std::make_unique<TransferEngine>();
    ASSERT_EQ(engine->init(P2PHANDSHAKE, "127.0.0.1"), 0);
    const std::string name = engine->getLocalIpAndPort();
    EXPECT_EQ(inChild([&] {
                  engine.reset();
                  return 0;
              }),
              0);
    expectAnswers(*engine->getMetadata(), name);
}

// A program's own, which no engine keeps.
TEST(ForkP2pTest, AChildMayDestroyMetadataWithoutAnEngine) {
    auto metadata = std::make_unique<TransferMetadata>(P2PHANDSHAKE);
    TransferMetadata::RpcMetaDesc address;
    address.ip_or_host_name = "127.0.0.1";
    ASSERT_EQ(metadata->addRpcMetaEntry("127.0.0.1", address), 0);
    EXPECT_EQ(inChild([&] {
                  metadata.reset();
                  return 0;
              }),
              0);
    expectAnswers(*metadata, "127.0.0.1:" + std::to_string(address.rpc_port));
}

}  // namespace
}  // namespace mooncake::test
