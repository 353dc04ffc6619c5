// SPDX-License-Identifier: Apache-2.0
// A node that publishes a target which stops somewhere in the middle of connecting: the kernel
// makes one connection of the machine at a time, and would hold all others up for a minute.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cluster.h"
#include "nvme_peer.h"
#include "target_process.h"
#include "transfer_metadata.h"

namespace {

using namespace mooncake;
using namespace test_support;
using namespace std::chrono_literals;
using nvmeof_generic::NvmePeer;
using Clock = std::chrono::steady_clock;

constexpr size_t kSize = 1 << 20;
constexpr char kEvilNqn[] =
    "nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:0b5c1fd8-3c7e-4a86-9d0b-6f3f4f2f1a01";

double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// What any node can publish about itself.
class EvilNode {
 public:
    EvilNode(const MetadataServer& metadata, uint16_t port) : metadata_(metadata.url()) {
        auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
        desc->name = "evil";
        desc->protocol = "nvmeof_generic";
        desc->nvmeof_generic_trid = {"tcp", "ipv4", "127.0.0.1", std::to_string(port), kEvilNqn};
        desc->file_buffers = {{1, "/f", kSize, 4096}};
        EXPECT_EQ(metadata_.addLocalSegment(LOCAL_SEGMENT_ID, "evil", std::move(desc)), 0);
        EXPECT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    }

 private:
    TransferMetadata metadata_;
};

class TarpitTest : public ::testing::Test {
 protected:
    TarpitTest() : file_(testFolder() + "/neighbour") { makeFile(file_, kSize); }

    // Reads from a healthy target while somebody asks for the evil one's segment all the time.
    void expectNoHarm(const std::string& what) {
        EvilNode evil(metadata_, 5000);
        auto target = std::make_unique<TargetProcess>(metadata_, file_, "4420");
        ASSERT_TRUE(target->ready());
        Node initiator(metadata_, "initiator");
        const SegmentID bad = initiator.engine().openSegment("evil");
        const SegmentID good = initiator.engine().openSegment("target");
        std::atomic<bool> stop{false};
        std::atomic<int> attempts{0};
        std::thread pest([&] {
            AlignedBuffer mine(4096);
            while (!stop) {
                EXPECT_FALSE(initiator.read(bad, 1, 0, mine.data(), 4096));
                ++attempts;
            }
        });
        AlignedBuffer buffer(4096);
        auto start = Clock::now();
        EXPECT_TRUE(initiator.read(good, 1, 0, buffer.data(), 4096)) << what;
        std::cout << what << ": the first read of a healthy target took " << since(start) << " s\n";
        start = Clock::now();
        ChildProcess other({"transfer_engine_nvmeof_generic_bench", "--mode=initiator",
                            "--local_server_name=second", "--segment_id=target",
                            "--metadata_server=" + metadata_.url(), "--operation=read",
                            "--duration=1", "--block_size=4096", "--batch_size=1"});
        EXPECT_EQ(other.wait(std::chrono::seconds(150)), 0) << what << other.output();
        std::cout << what << ": another process read for 1 s and ended after " << since(start)
                  << " s\n";
        target->signal(SIGTERM);
        target->wait();
        target = std::make_unique<TargetProcess>(metadata_, file_, "4420");
        ASSERT_TRUE(target->ready());
        start = Clock::now();
        int failed = 0;
        while (!initiator.read(good, 1, 0, buffer.data(), 4096) && since(start) < 120) ++failed;
        std::cout << what << ": the restarted target was in use after " << since(start) << " s, "
                  << failed << " reads failed\n";
        // The kernel was never asked for it: nothing of it is there, nor was.
        stop = true;
        pest.join();
        EXPECT_GT(attempts, 0);
        target->signal(SIGTERM);
        target->wait();
    }

    const std::string file_;
    MetadataServer metadata_;
};

struct Step {
    const char* name;
    size_t step;
};

class SilentAt : public TarpitTest, public ::testing::WithParamInterface<Step> {};

TEST_P(SilentAt, HoldsUpNobody) {
    std::atomic<int> connections{0};
    std::atomic<bool> asked{false};
    NvmePeer tarpit(
        kEvilNqn,
        [&](size_t step, NvmePeer::Bytes& answer, int) {
            if (step == 0) ++connections;
            // The kernel asks for more than one thing at a time; a probe never does.
            if (step > GetParam().step) asked = true;
            if (step >= GetParam().step) answer.clear();
        },
        AF_INET, 5000);
    expectNoHarm(GetParam().name);
    EXPECT_GT(connections, 0);
    EXPECT_FALSE(asked);
}

INSTANTIATE_TEST_SUITE_P(Tarpit, SilentAt,
                         ::testing::Values(Step{"ICReq", 0}, Step{"Connect", 1}, Step{"CAP", 2},
                                           Step{"Identify", 6}),
                         [](const auto& step) { return step.param.name; });

TEST_F(TarpitTest, OneThatSendsAByteASecondHoldsUpNobody) {
    std::atomic<bool> stop{false};
    NvmePeer tarpit(
        kEvilNqn,
        [&](size_t step, NvmePeer::Bytes& answer, int fd) {
            if (step < 6) return;
            for (size_t i = 0; i < answer.size() && !stop; ++i) {
                if (send(fd, &answer[i], 1, MSG_NOSIGNAL) != 1) break;
                std::this_thread::sleep_for(1s);
            }
            answer.clear();
        },
        AF_INET, 5000);
    expectNoHarm("a byte a second");
    stop = true;
}

// How long the kernel waits for an answer while it connects, while the object exists.
class AdminTimeout {
 public:
    explicit AdminTimeout(const std::string& seconds) { set(seconds); }
    ~AdminTimeout() { set("60"); }
    AdminTimeout(const AdminTimeout&) = delete;
    AdminTimeout& operator=(const AdminTimeout&) = delete;

 private:
    static void set(const std::string& seconds) {
        std::ofstream file("/sys/module/nvme_core/parameters/admin_timeout");
        file << seconds << std::flush;
        EXPECT_TRUE(file.good());
    }
};

// What is left of it: one that goes through the probe and falls silent when the kernel asks. It
// holds the machine up once; then it comes after all others, in every process.
TEST_F(TarpitTest, OneThatLiesToTheProbeHoldsUpOthersOnce) {
    const AdminTimeout timeout("10");
    std::mutex mutex;
    std::map<int, int> numbers;
    int connections = 0;
    NvmePeer tarpit(
        kEvilNqn,
        [&](size_t step, NvmePeer::Bytes& answer, int fd) {
            const std::lock_guard lock(mutex);
            if (step == 0) numbers[fd] = connections++;
            if (numbers[fd] % 2 == 1 && step >= 1) answer.clear();
        },
        AF_INET, 5000);
    EvilNode evil(metadata_, 5000);
    TargetProcess target(metadata_, file_, "4420");
    ASSERT_TRUE(target.ready());
    Node initiator(metadata_, "initiator");
    const SegmentID bad = initiator.engine().openSegment("evil");
    const SegmentID good = initiator.engine().openSegment("target");
    std::atomic<bool> stop{false};
    std::thread pest([&] {
        AlignedBuffer mine(4096);
        while (!stop) initiator.read(bad, 1, 0, mine.data(), 4096);
    });
    const auto limit = Clock::now() + 60s;
    while (Clock::now() < limit) {
        {
            const std::lock_guard lock(mutex);
            if (connections >= 2) break;  // it is in the kernel
        }
        std::this_thread::sleep_for(10ms);
    }
    AlignedBuffer buffer(4096);
    const auto start = Clock::now();
    while (!initiator.read(good, 1, 0, buffer.data(), 4096) && since(start) < 200) {
    }
    std::cout << "beside a target that lies to the probe: the first read of a healthy one took "
              << since(start) << " s of the kernel's 10\n";
    // All processes know it: its host and port, not good, once or by now once more.
    std::ifstream known("/run/nvmeof_generic/holdups");
    const std::string all(std::istreambuf_iterator<char>(known), {});
    EXPECT_NE(all.find(" 127.0.0.1 5000 0 "), std::string::npos) << all;
    EXPECT_NE(all.find(" 127.0.0.1 4420 1 "), std::string::npos) << all;
    stop = true;
    pest.join();
    target.signal(SIGTERM);
    target.wait();
}

}  // namespace
