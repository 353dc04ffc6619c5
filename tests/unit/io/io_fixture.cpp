// SPDX-License-Identifier: Apache-2.0
#include "io_fixture.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr std::chrono::seconds kLimit{60};

uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + strerror(errno));
}

/// A folder on whose files O_DIRECT works: that of the tests, or else the present one.
std::string directFolder() {
    static const std::string folder = [] {
        for (std::string candidate : {::testing::TempDir(), std::string("./")}) {
            const std::string path = candidate + "direct-XXXXXX";
            std::vector<char> name(path.begin(), path.end());
            name.push_back('\0');
            UniqueFd fd(mkostemp(name.data(), O_DIRECT | O_CLOEXEC));
            if (fd.valid()) {
                unlink(name.data());
                return candidate;
            }
        }
        fail("there is no folder for files with direct I/O; set TEST_TMPDIR to one");
    }();
    return folder;
}

}  // namespace

TempFile::TempFile(uint64_t size) : size_(size) {
    path_ = directFolder() + "io-XXXXXX";
    std::vector<char> name(path_.begin(), path_.end());
    name.push_back('\0');
    fd_ = UniqueFd(mkostemp(name.data(), O_CLOEXEC));
    if (!fd_.valid()) fail("creating " + path_);
    path_ = name.data();
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) fail("sizing " + path_);
    // Where the file system cannot reserve, the file is sparse.
    if (fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP) {
        fail("reserving " + path_);
    }
}

TempFile::~TempFile() {
    unlink(path_.c_str());
}

std::vector<char> TempFile::read(uint64_t offset, uint64_t length) const {
    // With a loop device above it, the file may have old pages of its own.
    posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
    std::vector<char> bytes(length);
    const ssize_t got = pread(fd_.get(), bytes.data(), length, static_cast<off_t>(offset));
    if (got != static_cast<ssize_t>(length)) fail("reading " + path_);
    return bytes;
}

void TempFile::write(uint64_t offset, const std::vector<char>& bytes) const {
    const ssize_t put = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put != static_cast<ssize_t>(bytes.size()) || fdatasync(fd_.get()) != 0) {
        fail("writing " + path_);
    }
}

void TempFile::truncate(uint64_t size) const {
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) fail("truncating " + path_);
}

std::unique_ptr<LoopDevice> LoopDevice::create(const std::string& file, uint32_t blockSize) {
    UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control.valid()) return nullptr;
    UniqueFd backing(open(file.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT));
    for (int attempt = 0; attempt < 16; ++attempt) {
        const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) return nullptr;
        const std::string path = "/dev/loop" + std::to_string(number);
        UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
        if (!fd.valid()) return nullptr;
        loop_config config{};
        config.fd = static_cast<uint32_t>(backing.get());
        config.block_size = blockSize;
        config.info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR;
        if (ioctl(fd.get(), LOOP_CONFIGURE, &config) == 0) {
            return std::unique_ptr<LoopDevice>(new LoopDevice(path, std::move(fd)));
        }
        if (errno != EBUSY) return nullptr;  // somebody else was faster
    }
    return nullptr;
}

LoopDevice::~LoopDevice() {
    ioctl(fd_.get(), LOOP_CLR_FD);
}

void fillPattern(char* memory, uint64_t offset, uint64_t length, uint64_t seed) {
    for (uint64_t i = 0; i < length;) {
        const uint64_t at = offset + i;
        const uint64_t word = mix(mix(seed) ^ (at / 8));
        const uint64_t first = at % 8;
        const uint64_t count = std::min(8 - first, length - i);
        std::memcpy(memory + i, reinterpret_cast<const char*>(&word) + first, count);
        i += count;
    }
}

std::vector<char> pattern(uint64_t offset, uint64_t length, uint64_t seed) {
    std::vector<char> bytes(length);
    fillPattern(bytes.data(), offset, length, seed);
    return bytes;
}

::testing::AssertionResult isPattern(const char* memory, uint64_t offset, uint64_t length,
                                     uint64_t seed) {
    auto same = isSame(memory, pattern(offset, length, seed).data(), length);
    if (!same) same << " at offset " << offset << ", not that of seed " << seed;
    return same;
}

::testing::AssertionResult isSame(const char* is, const char* wanted, uint64_t length) {
    if (length == 0 || std::memcmp(is, wanted, length) == 0) return ::testing::AssertionSuccess();
    const auto different = std::mismatch(is, is + length, wanted);
    return ::testing::AssertionFailure()
           << "byte " << different.first - is << " of " << length << " is wrong";
}

Memory::Memory(uint64_t length, uint64_t misalignment)
    : block_(nullptr, std::free), total_(length + 2 * kGuard + 4096), length_(length) {
    total_ = (total_ + 4095) & ~uint64_t{4095};
    block_.reset(static_cast<char*>(std::aligned_alloc(4096, total_)));
    if (block_ == nullptr) fail("allocating memory");
    fillPattern(block_.get(), 0, total_, 0x6a09e667);
    data_ = block_.get() + kGuard + misalignment;
}

::testing::AssertionResult Memory::guardsIntact() const {
    const uint64_t before = static_cast<uint64_t>(data_ - block_.get());
    if (auto front = isPattern(block_.get(), 0, before, 0x6a09e667); !front) return front;
    return isPattern(data_ + length_, before + length_, total_ - before - length_, 0x6a09e667);
}

void Recorder::onIoDone(void* context, int error, uint64_t bytes) noexcept {
    Entry& entry = entries_[reinterpret_cast<size_t>(context)];
    entry.error = error;
    entry.bytes = bytes;
    entry.ends.fetch_add(1);
    if (endedCount_.fetch_add(1) + 1 >= wanted_.load()) {
        std::lock_guard lock(mutex_);
        reached_.notify_all();
    }
}

::testing::AssertionResult Recorder::waitFor(size_t count) {
    std::unique_lock lock(mutex_);
    wanted_.store(count);
    if (reached_.wait_for(lock, kLimit, [&] { return endedCount_.load() >= count; })) {
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure()
           << "only " << endedCount_.load() << " of " << count << " requests have ended";
}

bool Recorder::eachOnce() const {
    return std::all_of(entries_.begin(), entries_.end(),
                       [](const Entry& entry) { return entry.ends.load() <= 1; });
}

UniqueFd openFor(const IoPool& pool, const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | pool.openFlags()));
    if (!fd.valid()) fail("opening " + path);
    return fd;
}

std::shared_ptr<IoDevice> addFile(IoPool& pool, const TempFile& file,
                                  std::shared_ptr<IoListener> listener, uint32_t blockSize) {
    auto device = pool.addDevice(
        {openFor(pool, file.path()), file.path(), file.size(), blockSize, std::move(listener)});
    if (!device.ok()) throw std::runtime_error(device.error().message);
    return device.take();
}

}  // namespace mooncake::nvmeof_generic::io
