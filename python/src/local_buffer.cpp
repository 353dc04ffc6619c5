// SPDX-License-Identifier: Apache-2.0
#include "local_buffer.h"

namespace mooncake::python {
namespace {

// What goes straight from and to a disk.
constexpr size_t kAlignment = 4096;

}  // namespace

bool LocalBuffer::reserve(uint64_t size) {
    uint64_t used = used_.load(std::memory_order_relaxed);
    do {
        if (size > capacity_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + size, std::memory_order_relaxed));
    return true;
}

std::unique_ptr<BufferHandle> BufferHandle::take(const std::shared_ptr<LocalBuffer>& buffer,
                                                 uint64_t size) {
    if (!buffer->reserve(size)) return nullptr;
    auto handle = std::make_unique<BufferHandle>();
    handle->buffer_ = buffer;
    handle->reserved_ = handle->size_ = size;
    const size_t rounded = (size + kAlignment - 1) / kAlignment * kAlignment;
    handle->data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
    return handle->data_ == nullptr ? nullptr : std::move(handle);
}

BufferHandle::~BufferHandle() {
    std::free(data_);
    if (buffer_) buffer_->release(reserved_);
}

}  // namespace mooncake::python
