// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "transport/transport.h"

namespace {
bool refusing = false;
int refused = 0;
}  // namespace

void* operator new(size_t size) {
    if (refusing) {
        ++refused;
        throw std::bad_alloc();
    }
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace mooncake {

// The caller of a batch that is freed has nobody to tell that there is no memory.
TEST(NoMemoryTest, ATaskIsClearedAllTheSame) {
    Transport::TransferTask task;
    for (int i = 0; i < 3; ++i) task.slice_list.push_back(new Transport::Slice());
    refusing = true;
    task.clear();
    refusing = false;
    EXPECT_TRUE(task.slice_list.empty());
    EXPECT_EQ(refused, 3) << "this thread's cache had room before";
}

}  // namespace mooncake
