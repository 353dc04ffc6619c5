// SPDX-License-Identifier: Apache-2.0
// Memory of callers that cannot be touched: the request ends with EFAULT, whichever way its bytes
// go, and neither the process nor its neighbours take notice.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

#include "caller_memory.h"
#include "io_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint64_t kSize = 1 << 20;
constexpr uint64_t kMapped = 256 << 10;

enum class Fault { kProtected, kUnmapped, kReadOnly, kTruncated };

const char* nameOf(Fault fault) {
    switch (fault) {
        case Fault::kProtected:
            return "Protected";
        case Fault::kUnmapped:
            return "Unmapped";
        case Fault::kReadOnly:
            return "ReadOnly";
        case Fault::kTruncated:
            return "Truncated";
    }
    return "";
}

/// Pages that cannot be read, or written to where the fault is kReadOnly.
class BadMemory {
 public:
    explicit BadMemory(Fault fault) : fault_(fault) {
        const int flags = fault == Fault::kTruncated ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
        const int protection = fault == Fault::kProtected  ? PROT_NONE
                               : fault == Fault::kReadOnly ? PROT_READ
                                                           : PROT_READ | PROT_WRITE;
        const int fd = fault == Fault::kTruncated ? memfd_create("bad", MFD_CLOEXEC) : -1;
        if (fd >= 0) {
            EXPECT_EQ(ftruncate(fd, kMapped), 0);
        }
        // Far from where the kernel looks for room: what is not mapped any more is not given to
        // somebody, whose bytes the request would overwrite.
        void* const place = reinterpret_cast<void*>(uintptr_t{1} << 30);
        data_ = static_cast<char*>(
            mmap(place, kMapped, protection, flags | MAP_FIXED_NOREPLACE, fd, 0));
        EXPECT_NE(static_cast<void*>(data_), MAP_FAILED);
        if (fd >= 0) {
            EXPECT_EQ(ftruncate(fd, 0), 0);
            close(fd);
        }
        if (fault == Fault::kUnmapped) {
            EXPECT_EQ(munmap(data_, kMapped), 0);
        }
    }
    ~BadMemory() {
        if (fault_ != Fault::kUnmapped) munmap(data_, kMapped);
    }
    BadMemory(const BadMemory&) = delete;
    BadMemory& operator=(const BadMemory&) = delete;
    char* data() const { return data_; }

 private:
    const Fault fault_;
    char* data_;
};

struct Shape {
    const char* name;
    DirectIo mode;
    uint64_t start, length;  // of the first request on the device, and of each
    uint64_t skew;           // of memory
};

// What goes through bounce buffers: in whole blocks, as parts of one block, with ragged ends, and
// all of it; and what does not.
constexpr Shape kShapes[] = {
    {"Staged", DirectIo::kAuto, 8192, 8192, 1},     {"PartsOfABlock", DirectIo::kAuto, 100, 500, 0},
    {"Ragged", DirectIo::kAuto, 4096, 70000, 0},    {"Odd", DirectIo::kAuto, 1, 100001, 3},
    {"AllCopied", DirectIo::kOff, 4096, 131072, 0}, {"Direct", DirectIo::kAuto, 4096, 16384, 0},
};

using Case = std::tuple<Shape, Fault, IoOp, bool>;

class UntouchableMemory : public ::testing::TestWithParam<Case> {};

// Three neighbours, which are joined: the one in the middle is bad.
TEST_P(UntouchableMemory, EndsItsRequestAlone) {
    const auto& [shape, fault, op, polls] = GetParam();
    IoOptions options;
    options.directIo = shape.mode;
    auto made = IoPool::create(options);
    ASSERT_TRUE(made.ok()) << made.error().message;
    const std::unique_ptr<IoPool> pool = made.take();
    if (polls) pool->enablePolling();
    const TempFile file(kSize);
    file.write(0, pattern(0, kSize, 1));
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = addFile(*pool, file, recorder);

    Memory first(shape.length, shape.skew), last(shape.length, shape.skew);
    std::vector<IoRequest> requests;
    const BadMemory bad(fault);
    char* const memory[] = {first.data(), bad.data() + shape.skew, last.data()};
    for (size_t i = 0; i < 3; ++i) {
        const uint64_t offset = shape.start + i * shape.length;
        if (i != 1) fillPattern(memory[i], offset, shape.length, 2);
        requests.push_back({op, memory[i], offset, shape.length, recorder->context(i)});
    }
    pool->submit(device, requests.data(), requests.size());
    while (polls && recorder->endedCount() < 3) pool->wait(std::chrono::milliseconds(10));
    ASSERT_TRUE(recorder->waitForAll());

    EXPECT_TRUE(recorder->eachOnce());
    EXPECT_EQ(recorder->error(1), EFAULT);
    EXPECT_LT(recorder->bytes(1), shape.length);
    for (const size_t i : {0, 2}) {
        const uint64_t offset = shape.start + i * shape.length;
        EXPECT_EQ(recorder->error(i), 0) << i;
        if (op == IoOp::kRead) {
            EXPECT_TRUE(isPattern(memory[i], offset, shape.length, 1)) << i;
        } else {
            EXPECT_TRUE(isPattern(file.read(offset, shape.length).data(), offset, shape.length, 2))
                << i;
        }
    }
    EXPECT_TRUE(first.guardsIntact() && last.guardsIntact());
    // What nobody wrote to is as it was.
    EXPECT_TRUE(isPattern(file.read(0, shape.start).data(), 0, shape.start, 1));
    const uint64_t end = shape.start + 3 * shape.length;
    EXPECT_TRUE(isPattern(file.read(end, kSize - end).data(), end, kSize - end, 1));
}

std::vector<Case> cases() {
    std::vector<Case> all;
    for (const Shape& shape : kShapes) {
        for (const Fault fault :
             {Fault::kProtected, Fault::kUnmapped, Fault::kReadOnly, Fault::kTruncated}) {
            for (const IoOp op : {IoOp::kRead, IoOp::kWrite}) {
                if (fault == Fault::kReadOnly && op == IoOp::kWrite) continue;
                for (const bool polls : {false, true}) all.emplace_back(shape, fault, op, polls);
            }
        }
    }
    return all;
}

std::string caseName(const ::testing::TestParamInfo<Case>& suite) {
    const auto& [shape, fault, op, polls] = suite.param;
    return std::string(shape.name) + nameOf(fault) + (op == IoOp::kRead ? "Read" : "Write") +
           (polls ? "Polled" : "");
}

INSTANTIATE_TEST_SUITE_P(Each, UntouchableMemory, ::testing::ValuesIn(cases()), caseName);

// What is behind a stretch, in its page or the next, is not touched.
TEST(CallerMemoryCheck, KeepsToTheStretches) {
    const CallerMemory memory;
    ASSERT_TRUE(memory.valid());
    constexpr size_t kBytes = 4 * 4096;
    auto* const data = static_cast<char*>(
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_EQ(mprotect(data + 8192, 4096, PROT_NONE), 0);
    std::fill_n(data, 8192, 'a');
    {
        CallerMemory::Check check(memory);
        EXPECT_TRUE(check.canRead(data + 8191, 1)) << "less than what the kernel reads at once";
        EXPECT_TRUE(check.canRead(data + 100, 8092));
        EXPECT_FALSE(check.canRead(data + 8191, 2));
    }
    {
        CallerMemory::Check check(memory);
        EXPECT_TRUE(check.canWrite(data + 4095, 1) && check.canWrite(data + 5000, 3192));
        EXPECT_TRUE(check.endWriting());
        std::string wanted(8192, 'a');
        wanted[4095] = wanted[5000] = 0;
        EXPECT_EQ(std::string(data, 8192), wanted);
        EXPECT_FALSE(check.canWrite(data + 8191, 2) && check.endWriting());
    }
    // Many at once, the last of them bad.
    CallerMemory::Check check(memory);
    bool good = true;
    for (int i = 0; i < 1000 && good; ++i) good = check.canWrite(data + (i % 2) * 4096, 10);
    EXPECT_TRUE(good && check.endWriting());
    EXPECT_FALSE(check.canWrite(data + 8192, 10) && check.endWriting());
    munmap(data, kBytes);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
