// SPDX-License-Identifier: Apache-2.0
#include "lock_owner.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>

#include "admin_fixture.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

class LockOwnerTest : public testing::Test {
 protected:
    LockOwnerTest() { stat(folder_.path().c_str(), &status_); }

    std::string place(unsigned long inode) const {
        char text[64];
        std::snprintf(text, sizeof(text), "%02x:%02x:%lu 0 EOF\n", major(status_.st_dev),
                      minor(status_.st_dev), inode);
        return text;
    }
    std::optional<pid_t> owner(const std::string& locks) {
        putFile(proc_.path() + "/locks", locks);
        return lockOwner(proc_.path(), folder_.path());
    }

    TempDir folder_, proc_;
    struct stat status_ {};
};

TEST_F(LockOwnerTest, FindsTheFlockOnThatVeryFolder) {
    const std::string here = place(status_.st_ino), beside = place(status_.st_ino + 1);
    EXPECT_EQ(owner("1: FLOCK  ADVISORY  WRITE 11 " + beside + "2: POSIX  ADVISORY  WRITE 12 " +
                    here + "3: FLOCK  ADVISORY  WRITE 13 " + here),
              13);
    EXPECT_EQ(
        owner("1: FLOCK  ADVISORY  WRITE 13 fe:fe:" + std::to_string(status_.st_ino) + " 0 EOF\n"),
        std::nullopt);
}

TEST_F(LockOwnerTest, WhoOnlyWaitsIsNoOwner) {
    const std::string here = place(status_.st_ino);
    EXPECT_EQ(owner("1: -> FLOCK  ADVISORY  WRITE 13 " + here), std::nullopt);
    EXPECT_EQ(owner(""), std::nullopt);
    EXPECT_EQ(owner("nonsense\n1:\n"), std::nullopt);
    EXPECT_EQ(lockOwner(proc_.path() + "/none", folder_.path()), std::nullopt);
    EXPECT_EQ(lockOwner(proc_.path(), folder_.path() + "/none"), std::nullopt);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::admin
