// SPDX-License-Identifier: Apache-2.0
#include "file_uuid.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "backing_file.h"
#include "temp_dir.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;

std::string uuidOf(const std::string& path) {
    auto file = BackingFile::open(path, {});
    EXPECT_TRUE(file.ok()) << file.error().message;
    return file.ok() ? file.value().uuid() : "";
}

TEST(FileUuid, HasTheFormOfAUuid) {
    TempDir dir;
    const std::string uuid = uuidOf(dir.file("a", 4096));
    ASSERT_EQ(uuid.size(), 36u);
    EXPECT_EQ(uuid[14], '5') << "version 5: " << uuid;
    EXPECT_EQ(uuid.find_first_not_of("0123456789abcdef-"), std::string::npos) << uuid;
}

TEST(FileUuid, StaysWithTheFile) {
    TempDir dir;
    const std::string path = dir.file("a", 8192), other = dir.path() + "/b";
    const std::string uuid = uuidOf(path);
    fs::resize_file(path, 4096);
    std::ofstream(path, std::ios::app) << "more";
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    fs::last_write_time(path, {});
    EXPECT_EQ(uuidOf(path), uuid);
    fs::rename(path, other);
    EXPECT_EQ(uuidOf(other), uuid);
    fs::create_hard_link(other, path);
    EXPECT_EQ(uuidOf(path), uuid);
}

TEST(FileUuid, TwoFilesHaveTwo) {
    TempDir dir;
    const std::string a = dir.file("a", 4096), copy = dir.path() + "/copy";
    fs::copy_file(a, copy);
    fs::last_write_time(copy, fs::last_write_time(a));
    EXPECT_NE(uuidOf(a), uuidOf(copy));
}

// A file system may give the inode of a deleted file to the next one at once, as ext4 and XFS do.
TEST(FileUuid, AFileMadeAnewIsAnother) {
    TempDir dir;
    std::set<std::string> uuids;
    for (int i = 0; i < 20; ++i) {
        const std::string path = dir.file("a", 4096);
        EXPECT_TRUE(uuids.insert(uuidOf(path)).second) << "round " << i;
        fs::remove(path);
    }
}

// A sysfs of the test's own.
class DeviceUuidTest : public ::testing::Test {
 protected:
    DeviceUuidTest() { set("boot_id", "boot-1"); }

    // The disk's folder is where the kernel's link leads.
    void makeDisk(int minorNumber, const std::string& name) {
        fs::create_directories(dir_.path() + "/sys/dev/block");
        fs::create_directories(dir_.path() + "/sys/devices/" + name);
        fs::create_directory_symlink("../../devices/" + name, link(minorNumber));
    }
    std::string link(int minorNumber) const {
        return dir_.path() + "/sys/dev/block/259:" + std::to_string(minorNumber);
    }
    void set(const std::string& path, const std::string& value) {
        const fs::path file = dir_.path() + "/" + path;
        fs::create_directories(file.parent_path());
        std::ofstream(file) << value << "\n";
    }
    void setOfDisk(const std::string& disk, const std::string& name, const std::string& value) {
        set("sys/devices/" + disk + "/" + name, value);
    }
    std::string uuid(int minorNumber) const {
        return blockDeviceUuid(makedev(259, static_cast<unsigned>(minorNumber)),
                               {dir_.path() + "/sys", dir_.path() + "/boot_id"});
    }

    TempDir dir_;
};

TEST_F(DeviceUuidTest, ADiskIsWhatItIsCalledWhereverItIs) {
    makeDisk(0, "one");
    makeDisk(1, "two");
    for (const char* name :
         {"wwid", "device/wwid", "serial", "device/serial", "dm/uuid", "md/uuid"}) {
        setOfDisk("one", name, "X");
        setOfDisk("one", "diskseq", "1");
        setOfDisk("two", name, "Y");
        const std::string before = uuid(0);
        EXPECT_NE(uuid(1), before) << name;
        setOfDisk("one", "diskseq", "9");
        set("boot_id", "boot-2");
        EXPECT_EQ(uuid(0), before) << name;
        setOfDisk("two", name, "X");
        EXPECT_EQ(uuid(1), before) << "the same disk under another device number: " << name;
        for (const char* disk : {"one", "two"}) {
            fs::remove(dir_.path() + "/sys/devices/" + disk + "/" + name);
        }
    }
}

TEST_F(DeviceUuidTest, ANamelessDiskIsGoodForThisBoot) {
    makeDisk(0, "one");
    setOfDisk("one", "diskseq", "1");
    setOfDisk("one", "device/serial", "   ");
    const std::string before = uuid(0);
    EXPECT_EQ(uuid(0), before);
    setOfDisk("one", "diskseq", "2");
    EXPECT_NE(uuid(0), before) << "set up again";
    setOfDisk("one", "diskseq", "1");
    set("boot_id", "boot-2");
    EXPECT_NE(uuid(0), before) << "started anew";
}

TEST_F(DeviceUuidTest, APartitionIsAPartOfItsDisk) {
    makeDisk(0, "one");
    makeDisk(1, "one/one1");
    makeDisk(2, "one/one2");
    setOfDisk("one", "wwid", "X");
    for (const char* part : {"1", "2"}) {
        const std::string folder = std::string("one/one") + part;
        setOfDisk(folder, "partition", part);
        setOfDisk(folder, "start", "2048");
    }
    const std::string first = uuid(1);
    EXPECT_EQ((std::set<std::string>{uuid(0), first, uuid(2)}).size(), 3u);
    setOfDisk("one/one1", "start", "4096");
    EXPECT_NE(uuid(1), first);
    setOfDisk("one/one1", "start", "2048");
    setOfDisk("one", "wwid", "Y");
    EXPECT_NE(uuid(1), first);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
