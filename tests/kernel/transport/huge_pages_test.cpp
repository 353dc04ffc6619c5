// SPDX-License-Identifier: Apache-2.0
// Writes from memory in huge pages, with initiator and target on one host. Where the kernel sends
// more of them as one piece than belongs to one page, Linux 6.1 panics: here that ends the guest.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "cluster.h"
#include "file_pattern.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kMiB = 1 << 20;
constexpr size_t kHuge = 2 * kMiB;
constexpr size_t kSize = 16 * kMiB;
// At no multiple of a huge page.
constexpr size_t kSkew = 68 << 10;

uint8_t* aligned(void* mapping) {
    return reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(mapping) + kHuge - 1) &
                                      ~(kHuge - 1));
}

/// Room for `kSize` bytes at a multiple of a huge page, and for as many behind.
uint8_t* reserve() {
    void* const mapping = mmap(nullptr, kSize + 2 * kHuge, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(mapping, MAP_FAILED);
    return aligned(mapping);
}

/// How much of this process' memory lies in huge pages: of "AnonHugePages:" or "ShmemPmdMapped:".
size_t hugeKiB(const std::string& kind) {
    std::ifstream table("/proc/self/smaps_rollup");
    for (std::string line; std::getline(table, line);) {
        if (line.starts_with(kind)) return std::stoul(line.substr(kind.size()));
    }
    return 0;
}

/// A setting of the kernel while the object exists.
class Setting {
 public:
    Setting(std::string file, const std::string& value, const std::string& before)
        : file_(std::move(file)), before_(before) {
        std::ofstream(file_) << value << std::flush;
    }
    ~Setting() { std::ofstream(file_) << before_ << std::flush; }

 private:
    const std::string file_, before_;
};

class HugePagesTest : public ::testing::Test {
 protected:
    void SetUp() override {
        std::filesystem::create_directories(testFolder());
        makeFile(path_, kSize);
        id_ = target_.add(path_, kSize);
        segment_ = initiator_.engine().openSegment("target");
    }
    void TearDown() override {
        target_.end();
        std::filesystem::remove(path_);
    }
    /// Writes the file in pieces of `length`, which have the pattern `version`.
    void write(uint64_t version, const uint8_t* memory, size_t length) {
        std::vector<TransferRequest> requests;
        for (size_t offset = 0; offset < kSize; offset += length) {
            requests.push_back({TransferRequest::WRITE, const_cast<uint8_t*>(memory) + offset,
                                segment_, offset, std::min(length, kSize - offset), 0, id_});
        }
        for (const TransferStatus& status : initiator_.run(requests)) {
            EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
        }
        EXPECT_EQ(comparePattern(version, 0, readDirect(path_, 0, kSize).data(), kSize), "");
    }

    const std::string path_ = testFolder() + "/huge";
    MetadataServer metadata_;
    Node target_{metadata_, "target", targetAddress("tcp")};
    Node initiator_{metadata_, "initiator"};
    uint32_t id_ = 0;
    SegmentID segment_ = 0;
};

uint8_t* hugeMemory(uint64_t version) {
    uint8_t* const memory = reserve();
    EXPECT_EQ(mprotect(memory, kSize, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(madvise(memory, kSize, MADV_HUGEPAGE), 0);
    fillPattern(version, 0, memory, kSize);
    EXPECT_GE(hugeKiB("AnonHugePages:"), kSize / 1024);
    return memory;
}

// In their natural place, side by side: 96 KiB at a time runs from one into the next.
TEST_F(HugePagesTest, InTheirPlace) {
    uint8_t* const memory = hugeMemory(1);
    write(1, memory, 96 << 10);
    munmap(memory, kSize);
}

// As realloc() moves a large block: the pages stay as large as they are.
TEST_F(HugePagesTest, Moved) {
    uint8_t* const memory = hugeMemory(2);
    uint8_t* const moved = reserve() + kSkew;
    ASSERT_EQ(mremap(memory, kSize, kSize, MREMAP_MAYMOVE | MREMAP_FIXED, moved), moved);
    write(2, moved, kSize);
    write(2, moved, 64 << 10);
    munmap(moved, kSize);
}

// Shared memory, and another mapping of it.
TEST_F(HugePagesTest, OfSharedMemory) {
    const Setting setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise", "never");
    const int fd = memfd_create("huge", MFD_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(ftruncate(fd, kSize), 0);
    uint8_t* const memory = reserve();
    ASSERT_EQ(mmap(memory, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), memory);
    ASSERT_EQ(madvise(memory, kSize, MADV_HUGEPAGE), 0);
    fillPattern(3, 0, memory, kSize);
    EXPECT_GE(hugeKiB("ShmemPmdMapped:"), kSize / 1024);
    uint8_t* const elsewhere = reserve() + kSkew;
    ASSERT_EQ(mmap(elsewhere, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
              elsewhere);
    close(fd);
    write(3, elsewhere, kSize);
    write(3, elsewhere, 64 << 10);
    munmap(memory, kSize);
    munmap(elsewhere, kSize);
}

}  // namespace
