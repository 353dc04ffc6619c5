// SPDX-License-Identifier: Apache-2.0
// A program of its own: it has a say in where libcurl has its memory.
#include "header_list.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace mooncake {
namespace {

constexpr char kSecret[] = "a token that is nowhere else by chance";

int freed = 0;         // blocks
int freedSecrets = 0;  // of them, with the secret in them

void lookAndFree(void* block) {
    if (block == nullptr) return;
    ++freed;
    freedSecrets +=
        memmem(block, malloc_usable_size(block), kSecret, std::strlen(kSecret)) != nullptr;
    std::free(block);
}
void* reallocate(void* block, size_t size) {
    return std::realloc(block, size);
}
void* allocate(size_t size) {
    return std::malloc(size);
}
void* allocateZeros(size_t count, size_t size) {
    return std::calloc(count, size);
}
char* duplicate(const char* text) {
    return ::strdup(text);
}

TEST(HeaderListTest, NothingOfItIsLeftInMemory) {
    ASSERT_EQ(curl_global_init_mem(CURL_GLOBAL_DEFAULT, allocate, lookAndFree, reallocate,
                                   duplicate, allocateZeros),
              CURLE_OK);
    {
        HeaderList headers;
        EXPECT_TRUE(headers.add("Expect:"));
        EXPECT_TRUE(headers.add((std::string("Authorization: Bearer ") + kSecret).c_str()));
        EXPECT_TRUE(headers.add("If-Match: x"));
        EXPECT_STREQ(headers.get()->data, "Expect:");
    }
    EXPECT_GE(freed, 3) << "this says nothing";
    EXPECT_EQ(freedSecrets, 0);
}

}  // namespace
}  // namespace mooncake
