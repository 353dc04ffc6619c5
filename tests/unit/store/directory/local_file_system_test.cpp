// SPDX-License-Identifier: Apache-2.0
#include "local_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>

namespace mooncake::store {
namespace {

TEST(LocalFileSystemTest, TellsNetworksFromDisks) {
    for (const long type : {long{NFS_SUPER_MAGIC}, long{SMB_SUPER_MAGIC}, long{CEPH_SUPER_MAGIC},
                            long{V9FS_MAGIC}, long{AFS_FS_MAGIC}, long{CODA_SUPER_MAGIC},
                            long{FUSE_SUPER_MAGIC}, static_cast<long>(CIFS_SUPER_MAGIC),
                            static_cast<long>(static_cast<int>(SMB2_SUPER_MAGIC))}) {
        EXPECT_NE(networkFileSystem(type), nullptr) << std::hex << type;
    }
    for (const long type : {long{EXT4_SUPER_MAGIC}, long{XFS_SUPER_MAGIC}, long{TMPFS_MAGIC},
                            static_cast<long>(BTRFS_SUPER_MAGIC), long{OVERLAYFS_SUPER_MAGIC}}) {
        EXPECT_EQ(networkFileSystem(type), nullptr) << std::hex << type;
    }
}

TEST(LocalFileSystemTest, AsksTheKernel) {
    EXPECT_TRUE(checkLocalFolder(testing::TempDir()));
    const auto none = checkLocalFolder("/no/such/folder");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().failure, Failure::kUnavailable);
    EXPECT_THAT(none.error().message, testing::HasSubstr("/no/such/folder"));
}

}  // namespace
}  // namespace mooncake::store
