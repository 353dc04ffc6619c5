// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/secret.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "freed_memory.h"
#include "transport/nvmeof_generic_transport/common/host_key.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::FreedMemory;

constexpr char kText[] = "JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2";

// That the watch sees what is left behind.
TEST(SecretTest, AStringIsNotWiped) {
    FreedMemory freed(kText);
    { auto text = std::make_unique<std::string>(kText); }
    EXPECT_GT(freed.found(), 0);
}

TEST(SecretTest, NothingOfItIsLeftInMemory) {
    FreedMemory freed(kText);
    {
        Secret first{std::string_view(kText)}, second{std::string_view(kText)}, moved;
        first = std::move(second);
        moved = std::move(first);
        EXPECT_EQ(moved.view(), kText);
        moved.wipe();
        EXPECT_TRUE(moved.empty());
        const Secret last{std::string_view(kText)};
    }
    EXPECT_EQ(freed.found(), 0);
}

TEST(SecretTest, NothingOfAKeyFileIsLeftInMemory) {
    const std::string path = testing::TempDir() + "secret_test_key";
    {
        // In pieces, so that nothing of the test itself holds it.
        std::ofstream file(path);
        file << "host_key=DHHC-1:00:" << kText << ":\n";
    }
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    FreedMemory freed(kText);
    {
        const auto key = readKeyFile(path, PathCheck::kOff);
        EXPECT_TRUE(key.ok()) << key.error().message;
        EXPECT_NE(key.value().host.view().find(kText), std::string_view::npos);
    }
    EXPECT_EQ(freed.found(), 0);
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
