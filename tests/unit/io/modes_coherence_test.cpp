// SPDX-License-Identifier: Apache-2.0
// Case 41: two initiators, each with a page cache of its own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "modes.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class Coherence : public KernelModes {};

// Case 41, on one host: what another path to the same bytes has written is seen, and the bytes that
// it has written next to ours stay.
TEST_P(Coherence, SeesWhatOthersWrite) {
    auto recorder = std::make_shared<Recorder>(12);
    const auto device = add(recorder);
    std::unique_ptr<LoopDevice> second;
    std::string otherPath = path_;
    if (loop_ != nullptr) {
        second = LoopDevice::create(file_.path(), blockSize_);
        ASSERT_NE(second, nullptr);
        otherPath = second->path();
    }
    // The other initiator: a device of its own, with a page cache of its own.
    UniqueFd other(open(otherPath.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    ASSERT_TRUE(other.valid());
    // Somebody on this host keeps the page in the cache, so that nothing can drop it.
    UniqueFd cached(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    void* mapping = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, cached.get(), 0);
    ASSERT_NE(mapping, MAP_FAILED);

    Memory memory(8192);
    Memory remote(8192);
    for (size_t i = 0; i < 12; i += 2) {
        (void)*static_cast<volatile char*>(mapping);
        fillPattern(remote.data(), 0, 8192, 20 + i);
        ASSERT_EQ(pwrite(other.get(), remote.data(), 8192, 0), 8192);
        const IoRequest read{IoOp::kRead, memory.data(), 0, 8192, recorder->context(i)};
        pool_->submit(device, &read, 1);
        ASSERT_TRUE(ended(*recorder, i + 1));
        ASSERT_TRUE(isPattern(memory.data(), 0, 8192, 20 + i));

        const bool whole = strict();
        const uint64_t offset = whole ? 4096 : 4196;
        const uint64_t length = whole ? 4096 : 1000;
        fillPattern(memory.data(), offset, length, 50 + i);
        const IoRequest write{IoOp::kWrite, memory.data(), offset, length,
                              recorder->context(i + 1)};
        pool_->submit(device, &write, 1);
        ASSERT_TRUE(ended(*recorder, i + 2));
        ASSERT_EQ(pread(other.get(), remote.data(), 8192, 0), 8192);
        ASSERT_TRUE(isPattern(remote.data(), 0, offset, 20 + i));
        ASSERT_TRUE(isPattern(remote.data() + offset, offset, length, 50 + i));
        ASSERT_TRUE(isPattern(remote.data() + offset + length, offset + length,
                              8192 - offset - length, 20 + i));
    }
    munmap(mapping, 8192);
}

INSTANTIATE_TEST_SUITE_P(All, Coherence, ::testing::ValuesIn(kernelModes()), nameOf);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
