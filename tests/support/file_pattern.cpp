// SPDX-License-Identifier: Apache-2.0
#include "file_pattern.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace test_support {
namespace {

constexpr size_t kBlock = 4096;

// splitmix64: every bit of the word depends on every bit of seed and place.
uint64_t wordAt(uint64_t seed, uint64_t index) {
    uint64_t z = seed * 0x9e3779b97f4a7c15 + index + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint8_t byteAt(uint64_t seed, uint64_t place) {
    return static_cast<uint8_t>(wordAt(seed, place / 8) >> (8 * (place % 8)));
}

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + strerror(errno));
}

class File {
 public:
    File(const std::string& path, int flags) : fd(open(path.c_str(), flags | O_CLOEXEC, 0600)) {
        if (fd < 0) fail(path);
    }
    ~File() { close(fd); }
    const int fd;
};

}  // namespace

void fillPattern(uint64_t seed, uint64_t offset, void* buffer, size_t length) {
    auto* bytes = static_cast<uint8_t*>(buffer);
    size_t i = 0;
    for (; i < length && (offset + i) % 8 != 0; ++i) bytes[i] = byteAt(seed, offset + i);
    for (; i + 8 <= length; i += 8) {
        const uint64_t word = wordAt(seed, (offset + i) / 8);
        memcpy(bytes + i, &word, 8);
    }
    for (; i < length; ++i) bytes[i] = byteAt(seed, offset + i);
}

std::string comparePattern(uint64_t seed, uint64_t offset, const void* buffer, size_t length) {
    std::vector<uint8_t> expected(length);
    fillPattern(seed, offset, expected.data(), length);
    const auto* bytes = static_cast<const uint8_t*>(buffer);
    if (memcmp(bytes, expected.data(), length) == 0) return "";
    size_t i = 0;
    while (bytes[i] == expected[i]) ++i;
    return "byte " + std::to_string(offset + i) + " is " + std::to_string(bytes[i]) +
           " and should be " + std::to_string(expected[i]);
}

std::vector<uint8_t> readDirect(const std::string& path, uint64_t offset, size_t length) {
    const File file(path, O_RDONLY | O_DIRECT);
    const uint64_t start = offset / kBlock * kBlock;
    const uint64_t end = (offset + length + kBlock - 1) / kBlock * kBlock;
    AlignedBuffer buffer(end - start);
    size_t done = 0;
    while (done < offset + length - start) {
        const ssize_t got = pread(file.fd, buffer.data() + done, buffer.size() - done,
                                  static_cast<off_t>(start + done));
        if (got <= 0) fail("read of " + path);
        done += static_cast<size_t>(got);
    }
    const uint8_t* first = buffer.data() + (offset - start);
    return {first, first + length};
}

void writeDirect(const std::string& path, uint64_t offset, const void* data, size_t length) {
    const File file(path, O_WRONLY | O_DIRECT);
    AlignedBuffer buffer(length);
    memcpy(buffer.data(), data, length);
    if (pwrite(file.fd, buffer.data(), length, static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(length)) {
        fail("write of " + path);
    }
}

void makeFile(const std::string& path, uint64_t size) {
    const File file(path, O_RDWR | O_CREAT | O_TRUNC);
    if (posix_fallocate(file.fd, 0, static_cast<off_t>(size)) != 0) fail("space for " + path);
}

// Small pages: Linux 5.18 to 6.4 stops the machine over a write of huge ones by NVMe/TCP within one
// host (docs/operations.md). Behind them one that nobody may touch.
AlignedBuffer::AlignedBuffer(size_t size)
    : size_(size), mapped_((size + kBlock - 1) / kBlock * kBlock + kBlock) {
    void* const memory =
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<uint8_t*>(memory);
    madvise(memory, mapped_, MADV_NOHUGEPAGE);
    mprotect(data_ + mapped_ - kBlock, kBlock, PROT_NONE);
}

AlignedBuffer::~AlignedBuffer() {
    munmap(data_, mapped_);
}

}  // namespace test_support
