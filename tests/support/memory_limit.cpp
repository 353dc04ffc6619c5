// SPDX-License-Identifier: Apache-2.0
#include "memory_limit.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

// Of this thread: how many allocations succeed before one is refused; below 0: all do.
thread_local long allocationsLeft = -1;
thread_local bool allAfter = false;
thread_local int refused = 0;

std::atomic<const char*> withoutMemory{nullptr};  // the name of the threads
std::atomic<int> theirRefusals{0};

bool isWithoutMemory() {
    const char* const thread = withoutMemory;
    if (thread == nullptr) return false;
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return std::strcmp(name, thread) == 0;
}

bool refuses() {
    if (isWithoutMemory()) {
        ++theirRefusals;
        return true;
    }
    if (allocationsLeft < 0) return false;
    if (allocationsLeft > 0) {
        --allocationsLeft;
        return false;
    }
    ++refused;
    if (!allAfter) allocationsLeft = -1;
    return true;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
    if (refuses()) return nullptr;
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocateOrThrow(std::size_t size, std::size_t alignment) {
    if (void* const memory = allocate(size, alignment)) return memory;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
    return allocateOrThrow(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocateOrThrow(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

namespace test_support {

int withMemoryFor(long allocations, const std::function<void()>& call, Refused which) {
    struct Limit {
        ~Limit() { allocationsLeft = -1; }
    } limit;
    allAfter = which == Refused::kAllFrom;
    refused = 0;
    allocationsLeft = allocations;
    call();
    return refused;
}

NoMemoryFor::NoMemoryFor(const char* thread) {
    theirRefusals = 0;
    withoutMemory = thread;
}

NoMemoryFor::~NoMemoryFor() {
    withoutMemory = nullptr;
}

int NoMemoryFor::refusals() const {
    return theirRefusals;
}

}  // namespace test_support
