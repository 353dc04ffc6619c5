// SPDX-License-Identifier: Apache-2.0
// A node's own files, which need no network: what a program may do with them, and what it may not,
// is what other nodes may. What was written is read from the file itself.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "local_nodes.h"

namespace mooncake::test {
namespace {

/// A variable of the environment, for as long as this exists.
class Variable {
 public:
    Variable(std::string name, const char* value) : name_(std::move(name)) {
        setenv(name_.c_str(), value, 1);
    }
    ~Variable() { unsetenv(name_.c_str()); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

 private:
    const std::string name_;
};

/// How many descriptors of this process lead to the file.
size_t descriptorsOf(const std::string& path) {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) == path) ++count;
    }
    return count;
}

class LocalAccessTest : public ::testing::Test {
 protected:
    static constexpr size_t kSize = 16 * kBlock;

    void start(const LocalFileOptions& options = {}, size_t exported = kSize) {
        node_.becomeTarget();
        ASSERT_EQ(node_.engine.registerLocalFile(path_, exported, file_, options), 0);
        segment_ = node_.open(node_.name());
    }
    TransferStatusEnum run(TransferRequest::OpCode what, uint64_t offset, size_t length) {
        return node_.run({what, memory_.data, segment_, offset, length, 0, file_}).s;
    }
    TransferStatusEnum read(uint64_t offset, size_t length) {
        std::memset(memory_.data, 0, memory_.size);
        return run(TransferRequest::READ, offset, length);
    }
    TransferStatusEnum write(char fill, uint64_t offset, size_t length) {
        std::memset(memory_.data, fill, memory_.size);
        return run(TransferRequest::WRITE, offset, length);
    }
    std::string_view got(size_t length) { return memory_.view().substr(0, length); }

    FileFolder folder_;
    const std::string path_ = folder_.make("file", kSize, 'x');
    Memory memory_{2 * kSize};
    Node node_;
    FileBufferID file_ = 0;
    SegmentHandle segment_ = 0;
};

TEST_F(LocalAccessTest, NeedsNoNetwork) {
    const Variable network("LOCAL_TRANSPORT_NETWORK", "down");
    ASSERT_NO_FATAL_FAILURE(start());
    EXPECT_EQ(write('w', kBlock, kBlock), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(write('u', 100, 8), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(contents(path_, 0, 3 * kBlock),
              std::string(100, 'x') + std::string(8, 'u') + std::string(kBlock - 108, 'x') +
                  std::string(kBlock, 'w') + std::string(kBlock, 'x'));
    EXPECT_EQ(read(99, 10), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(got(10), "xuuuuuuuux");
}

TEST_F(LocalAccessTest, GoesByTheNetworkWhereThatIsWanted) {
    const Variable access("MC_NVMEOF_GENERIC_LOCAL_ACCESS", "nvmeof");
    const Variable limit("MC_NVMEOF_GENERIC_CONNECT_TIMEOUT", "1");
    ASSERT_NO_FATAL_FAILURE(start());
    {
        const Variable network("LOCAL_TRANSPORT_NETWORK", "down");
        EXPECT_EQ(read(0, kBlock), TransferStatusEnum::FAILED);
    }
    EXPECT_TRUE(eventually([&] { return read(0, kBlock) == TransferStatusEnum::COMPLETED; }));
    EXPECT_EQ(got(kBlock), std::string(kBlock, 'x'));
}

// Of a file that is larger.
TEST_F(LocalAccessTest, EndsWhereTheExportEnds) {
    constexpr size_t kExported = 4 * kBlock;
    ASSERT_NO_FATAL_FAILURE(start({}, kExported));
    EXPECT_EQ(write('w', kExported - kBlock, kBlock), TransferStatusEnum::COMPLETED);
    for (const uint64_t offset : {kExported - kBlock, kExported - 1, kExported}) {
        SCOPED_TRACE(offset);
        EXPECT_NE(read(offset, 2 * kBlock), TransferStatusEnum::COMPLETED);
        EXPECT_EQ(got(2 * kBlock), std::string(2 * kBlock, '\0'));
        EXPECT_NE(write('z', offset, 2 * kBlock), TransferStatusEnum::COMPLETED);
    }
    EXPECT_EQ(contents(path_, 0, kSize), std::string(kExported - kBlock, 'x') +
                                             std::string(kBlock, 'w') +
                                             std::string(kSize - kExported, 'x'));
}

TEST_F(LocalAccessTest, AReadOnlyExportIsRead) {
    ASSERT_NO_FATAL_FAILURE(start({.read_only = true}));
    EXPECT_EQ(read(0, kBlock), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(got(kBlock), std::string(kBlock, 'x'));
    EXPECT_EQ(read(1, 9), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(write('w', 0, kBlock), TransferStatusEnum::FAILED);
    EXPECT_EQ(write('w', 1, 9), TransferStatusEnum::FAILED);
    EXPECT_EQ(contents(path_, 0, kSize), std::string(kSize, 'x'));
}

TEST_F(LocalAccessTest, AFileThatIsTakenBackIsLetGo) {
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_EQ(read(0, kBlock), TransferStatusEnum::COMPLETED);
    ASSERT_EQ(descriptorsOf(path_), 1U);
    ASSERT_EQ(node_.engine.unregisterLocalFile(path_), 0);
    EXPECT_TRUE(eventually([&] { return descriptorsOf(path_) == 0; }));
    EXPECT_NE(write('w', 0, kBlock), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(contents(path_, 0, kSize), std::string(kSize, 'x'));
    // Another export of the same file has a number of its own.
    ASSERT_EQ(node_.engine.registerLocalFile(path_, kSize, file_), 0);
    EXPECT_EQ(write('w', 0, kBlock), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(contents(path_, 0, kBlock), std::string(kBlock, 'w'));
}

// Under another NQN. Its files are registered anew, under other numbers.
TEST_F(LocalAccessTest, ATargetThatStartsAnewIsFollowed) {
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_EQ(read(0, kBlock), TransferStatusEnum::COMPLETED);
    ASSERT_EQ(node_.engine.uninstallTransport("nvmeof_generic"), 0);
    EXPECT_EQ(descriptorsOf(path_), 0U);
    const FileBufferID before = file_;
    ASSERT_NO_FATAL_FAILURE(start());
    EXPECT_NE(file_, before);
    EXPECT_EQ(write('w', kBlock, kBlock), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(contents(path_, 0, 3 * kBlock),
              std::string(kBlock, 'x') + std::string(kBlock, 'w') + std::string(kBlock, 'x'));
    file_ = before;
    EXPECT_NE(write('z', kBlock, kBlock), TransferStatusEnum::COMPLETED);
    EXPECT_EQ(contents(path_, kBlock, kBlock), std::string(kBlock, 'w'));
}

}  // namespace
}  // namespace mooncake::test
