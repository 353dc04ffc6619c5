// SPDX-License-Identifier: Apache-2.0
#include "freed_memory.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace {

// Not a string: that would be given back itself.
char g_text[256];
std::atomic<size_t> g_size{0};
std::atomic<int> g_found{0};

void release(void* block) noexcept {
    const size_t size = g_size.load();
    if (block != nullptr && size != 0 &&
        memmem(block, malloc_usable_size(block), g_text, size) != nullptr) {
        ++g_found;
    }
    std::free(block);
}

}  // namespace

// Zeroed: else what other libraries have left there counted, too.
void* operator new(std::size_t size) {
    if (void* const block = std::calloc(1, size == 0 ? 1 : size)) {
        std::memset(block, 0, malloc_usable_size(block));
        return block;
    }
    throw std::bad_alloc();
}
void* operator new[](std::size_t size) {
    return operator new(size);
}
void operator delete(void* block) noexcept {
    release(block);
}
void operator delete(void* block, std::size_t) noexcept {
    release(block);
}
void operator delete[](void* block) noexcept {
    release(block);
}
void operator delete[](void* block, std::size_t) noexcept {
    release(block);
}

namespace test_support {

FreedMemory::FreedMemory(std::string_view text) {
    std::memcpy(g_text, text.data(), std::min(text.size(), sizeof(g_text)));
    g_found = 0;
    g_size = std::min(text.size(), sizeof(g_text));
}

FreedMemory::~FreedMemory() {
    g_size = 0;
}

int FreedMemory::found() {
    return g_found.exchange(0);
}

}  // namespace test_support
