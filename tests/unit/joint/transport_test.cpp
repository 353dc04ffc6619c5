// SPDX-License-Identifier: Apache-2.0
// The transport by itself, on local files instead of nvmet and NVMe-oF.
#include "transport/nvmeof_generic_transport/nvmeof_transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "memory_limit.h"
#include "memory_storage.h"

namespace {

// A file system that hangs in rename(), for all threads but the first one.
std::atomic<bool> renameHangs{false};
std::atomic<int> hung{0};

}  // namespace

int rename(const char* from, const char* to) noexcept {
    if (renameHangs && gettid() != getpid()) {
        ++hung;
        renameHangs.wait(true);
    }
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

namespace mooncake {
namespace {

using namespace std::chrono_literals;

constexpr size_t kBlock = 4096;
constexpr size_t kFileSize = 256 * kBlock;
constexpr auto kLimit = 20s;

struct OpenTransport : NVMeoFGenericTransport {
    using NVMeoFGenericTransport::installWithArgs;
    // Through the interface that the engine has.
    int addFile(FileBufferID id, const std::string& path, size_t size) {
        return exportLocalFile(id, path, size, LocalFileOptions{});
    }
};

class TransportTest : public ::testing::Test {
 protected:
    void SetUp() override {
        std::string name = "node";
        ASSERT_EQ(transport.installWithArgs(name, metadata, args), 0);
        std::ofstream(path).write(std::string(kFileSize, 'x').data(), kFileSize);
        ASSERT_EQ(transport.addFile(1, path, kFileSize), 0);
    }
    void TearDown() override { std::filesystem::remove(path); }

    Transport::TransferRequest request(Transport::TransferRequest::OpCode opcode, void* memory,
                                       uint64_t offset, size_t length) {
        Transport::TransferRequest made{};
        made.opcode = opcode;
        made.source = memory;
        made.target_id = 0;
        made.target_offset = offset;
        made.length = length;
        made.file_id = 1;
        return made;
    }
    Transport::TransferStatus wait(Transport::BatchID batch, size_t task) {
        Transport::TransferStatus status{};
        const auto limit = std::chrono::steady_clock::now() + kLimit;
        do {
            transport.progress();
            EXPECT_TRUE(transport.getTransferStatus(batch, task, status).ok());
        } while (status.s == Transport::WAITING && std::chrono::steady_clock::now() < limit);
        return status;
    }
    Transport::TransferStatus run(const Transport::TransferRequest& one) {
        const auto batch = transport.allocateBatchID(1);
        EXPECT_TRUE(transport.submitTransfer(batch, {one}).ok());
        const auto status = wait(batch, 0);
        EXPECT_TRUE(transport.freeBatchID(batch).ok());
        return status;
    }
    std::string fileContents() {
        std::ifstream in(path);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    const std::string path =
        ::testing::TempDir() + "/transport_test_file." + std::to_string(getpid());
    char address[64] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[1] = {address};
    std::shared_ptr<TransferMetadata> metadata =
        std::make_shared<TransferMetadata>(std::make_shared<test::MemoryStorage>());
    OpenTransport transport;
};

TEST_F(TransportTest, ReadsAndWrites) {
    std::vector<char> memory(kBlock, 'Q');
    auto status = run(request(Transport::TransferRequest::WRITE, memory.data(), kBlock, kBlock));
    EXPECT_EQ(status.s, Transport::COMPLETED);
    EXPECT_EQ(status.transferred_bytes, kBlock);
    EXPECT_EQ(fileContents().substr(kBlock, kBlock), std::string(kBlock, 'Q'));
    std::vector<char> read(2 * kBlock);
    EXPECT_EQ(run(request(Transport::TransferRequest::READ, read.data(), 0, read.size())).s,
              Transport::COMPLETED);
    EXPECT_EQ(std::string(read.begin(), read.end()),
              std::string(kBlock, 'x') + std::string(kBlock, 'Q'));
}

TEST_F(TransportTest, AnOpcodeThatIsNoneFailsAndWritesNothing) {
    std::vector<char> memory(kBlock, 'Q');
    const auto opcode = static_cast<Transport::TransferRequest::OpCode>(7);
    const auto status = run(request(opcode, memory.data(), 0, kBlock));
    EXPECT_EQ(status.s, Transport::FAILED);
    EXPECT_EQ(status.transferred_bytes, 0u);
    EXPECT_EQ(fileContents(), std::string(kFileSize, 'x'));
}

// Those of the slices that succeeded, of which there is none.
TEST_F(TransportTest, AFailedTaskHasTransferredNothing) {
    std::vector<char> memory(kFileSize);
    EXPECT_EQ(run(request(Transport::TransferRequest::READ, memory.data(), 0, kBlock)).s,
              Transport::COMPLETED);
    std::filesystem::resize_file(path, kFileSize / 2);
    const auto status = run(request(Transport::TransferRequest::READ, memory.data(), 0, kFileSize));
    EXPECT_EQ(status.s, Transport::FAILED);
    EXPECT_EQ(status.transferred_bytes, 0u);
}

// A child has a copy whose threads are its parent's. Engines may destroy it there.
TEST_F(TransportTest, AForkedChildMayDestroyItsCopy) {
    std::vector<char> memory(kBlock);
    const auto read = request(Transport::TransferRequest::READ, memory.data(), 0, kBlock);
    EXPECT_EQ(run(read).s, Transport::COMPLETED);
    const pid_t child = fork();
    if (child == 0) {
        alarm(static_cast<unsigned>(kLimit.count()));
        transport.~OpenTransport();
        _exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(run(read).s, Transport::COMPLETED);
}

// Requests whose segment does not answer end in time although the counters cannot be written.
TEST(TransportStatsFile, HoldsNobodyUp) {
    const std::string file =
        ::testing::TempDir() + "/transport_stats_file." + std::to_string(getpid());
    setenv("MC_NVMEOF_GENERIC_STATS_FILE", file.c_str(), 1);
    setenv("MC_NVMEOF_GENERIC_STATS_INTERVAL", "1", 1);
    setenv("MC_NVMEOF_GENERIC_LOCAL_ACCESS", "nvmeof", 1);
    setenv("MC_NVMEOF_GENERIC_CONNECT_TIMEOUT", "1", 1);
    setenv("LOCAL_TRANSPORT_NETWORK", "down", 1);
    renameHangs = true;
    {
        auto metadata = std::make_shared<TransferMetadata>(std::make_shared<test::MemoryStorage>());
        OpenTransport transport;
        std::string name = "node";
        char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
        void* args[] = {address};
        ASSERT_EQ(transport.installWithArgs(name, metadata, args), 0);
        const auto limit = std::chrono::steady_clock::now() + kLimit;
        while (hung == 0) {
            ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the counters are not written";
            std::this_thread::sleep_for(1ms);
        }
        char byte = 0;
        Transport::TransferRequest request{};
        request.opcode = Transport::TransferRequest::READ;
        request.source = &byte;
        request.length = 1;
        request.file_id = 1;
        const auto batch = transport.allocateBatchID(1);
        ASSERT_TRUE(transport.submitTransfer(batch, {request}).ok());
        Transport::TransferStatus status{};
        do {
            ASSERT_TRUE(transport.getTransferStatus(batch, 0, status).ok());
            std::this_thread::sleep_for(1ms);
        } while (status.s == Transport::WAITING && std::chrono::steady_clock::now() < limit);
        EXPECT_EQ(status.s, Transport::FAILED);
        EXPECT_EQ(hung, 1);
        renameHangs = false;
        renameHangs.notify_all();
        EXPECT_TRUE(transport.freeBatchID(batch).ok());
    }
    for (const char* variable : {"MC_NVMEOF_GENERIC_STATS_FILE", "MC_NVMEOF_GENERIC_STATS_INTERVAL",
                                 "MC_NVMEOF_GENERIC_LOCAL_ACCESS",
                                 "MC_NVMEOF_GENERIC_CONNECT_TIMEOUT", "LOCAL_TRANSPORT_NETWORK"}) {
        unsetenv(variable);
    }
    std::filesystem::remove(file);
}

// A kernel without an initiator: counters of what such a node exports reach their file all the
// same.
TEST(TransportStatsFile, IsWrittenByANodeThatOnlyExports) {
    const std::string stats =
        ::testing::TempDir() + "/transport_stats_file." + std::to_string(getpid());
    const std::string file = stats + ".exported";
    std::ofstream(file) << std::string(kBlock, 'x');
    setenv("MC_NVMEOF_GENERIC_STATS_FILE", stats.c_str(), 1);
    setenv("MC_NVMEOF_GENERIC_STATS_INTERVAL", "1", 1);
    setenv("LOCAL_TRANSPORT_NETWORK", "none", 1);
    {
        auto metadata = std::make_shared<TransferMetadata>(std::make_shared<test::MemoryStorage>());
        OpenTransport transport;
        std::string name = "node";
        char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
        void* args[] = {address};
        ASSERT_EQ(transport.installWithArgs(name, metadata, args), 0);
        ASSERT_EQ(transport.addFile(1, file, kBlock), 0);
        const auto says = [&](const std::string& value) {
            std::ifstream in(stats);
            const std::string text{std::istreambuf_iterator<char>(in), {}};
            return text.find("target_files{") != std::string::npos &&
                   text.find(value) != std::string::npos;
        };
        const auto limit = std::chrono::steady_clock::now() + kLimit;
        const std::string one = "\",segment=\"node\",address=\"127.0.0.1:4420\"} 1\n";
        while (!says(one) && std::chrono::steady_clock::now() < limit) {
            std::this_thread::sleep_for(1ms);
        }
        EXPECT_TRUE(says(one));
        ASSERT_TRUE(transport.getStats().target);
        EXPECT_EQ(transport.getStats().target->files, 1u);
        EXPECT_NE(transport.getStatsText().find("target_files{"), std::string::npos);
    }
    for (const char* variable : {"MC_NVMEOF_GENERIC_STATS_FILE", "MC_NVMEOF_GENERIC_STATS_INTERVAL",
                                 "LOCAL_TRANSPORT_NETWORK"}) {
        unsetenv(variable);
    }
    std::filesystem::remove(stats);
    std::filesystem::remove(file);
}

// A file that cannot be written is told of at once.
TEST(TransportStatsFile, ThatCannotBeWrittenIsAnError) {
    setenv("MC_NVMEOF_GENERIC_STATS_FILE", "/no/such/folder/stats", 1);
    auto metadata = std::make_shared<TransferMetadata>(std::make_shared<test::MemoryStorage>());
    OpenTransport transport;
    std::string name = "node";
    EXPECT_NE(transport.installWithArgs(name, metadata, nullptr), 0);
    unsetenv("MC_NVMEOF_GENERIC_STATS_FILE");
}

// Wherever memory ends in the middle of a call: all of it is submitted, or nothing.
TEST_F(TransportTest, WithoutMemoryACallFailsAsAWhole) {
    constexpr size_t kTasks = 200;
    std::vector<char> memory(kTasks * kBlock);
    std::vector<Transport::TransferRequest> requests;
    for (size_t i = 0; i < kTasks; ++i) {
        requests.push_back(request(Transport::TransferRequest::READ, memory.data() + i * kBlock,
                                   i * kBlock, kBlock));
    }
    EXPECT_EQ(run(requests[0]).s, Transport::COMPLETED);
    size_t failures = 0;
    for (int left : {0, 1, 2, 3, 10, 50, 100, 150, 199, 250, 300, 350, 399, 10000}) {
        SCOPED_TRACE(left);
        std::fill(memory.begin(), memory.end(), 0);
        const auto batch = transport.allocateBatchID(kTasks);
        Status status;
        const auto submit = [&] { status = transport.submitTransfer(batch, requests); };
        test_support::withMemoryFor(left, submit, test_support::Refused::kOne);
        if (status.ok()) {
            for (size_t i = 0; i < kTasks; ++i) EXPECT_NE(wait(batch, i).s, Transport::WAITING);
        } else {
            ++failures;
            EXPECT_TRUE(status.IsMemory()) << status.ToString();
            // Whatever had been submitted before would have ended by the end of this one.
            EXPECT_EQ(run(requests[0]).s, Transport::COMPLETED);
            memory[0] = 0;
            std::fill(memory.begin(), memory.begin() + kBlock, 0);
            EXPECT_EQ(memory, std::vector<char>(kTasks * kBlock)) << "nobody has written to it";
        }
        EXPECT_TRUE(transport.freeBatchID(batch).ok());
    }
    EXPECT_GT(failures, 3u);
}

}  // namespace
}  // namespace mooncake
