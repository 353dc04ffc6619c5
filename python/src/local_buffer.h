// SPDX-License-Identifier: Apache-2.0
// Memory for objects that a store hands out itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace mooncake::python {

// So much as setup() was told: local_buffer_size.
//
// Thread rule: any thread.
class LocalBuffer {
 public:
    explicit LocalBuffer(uint64_t capacity) : capacity_(capacity) {}

    // Whether calls that copy take an object of so many bytes.
    bool fits(uint64_t size) const { return size <= capacity_; }
    bool reserve(uint64_t size);
    void release(uint64_t size) { used_.fetch_sub(size, std::memory_order_relaxed); }

 private:
    const uint64_t capacity_;
    std::atomic<uint64_t> used_{0};
};

// One object's bytes. Outlives its store, even a closed one.
class BufferHandle {
 public:
    // Without any bytes.
    BufferHandle() = default;
    // Null where there is no room.
    static std::unique_ptr<BufferHandle> take(const std::shared_ptr<LocalBuffer>& buffer,
                                              uint64_t size);
    ~BufferHandle();
    BufferHandle(const BufferHandle&) = delete;
    BufferHandle& operator=(const BufferHandle&) = delete;

    std::byte* data() const { return data_; }
    uint64_t size() const { return size_; }
    // The object has turned out to have fewer bytes.
    void shrink(uint64_t size) { size_ = size; }

 private:
    std::shared_ptr<LocalBuffer> buffer_;
    std::byte* data_ = nullptr;
    uint64_t reserved_ = 0;
    uint64_t size_ = 0;
};

}  // namespace mooncake::python
