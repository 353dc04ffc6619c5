// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/host_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace mooncake::nvmeof_generic {
namespace {

// Made by Python's base64 and zlib, not by this code.
const std::string kPlain = "DHHC-1:00:JTA7RlFcZ3J9iJOeqbS/ytXg6/YBDBciLThDTllkb3qr02o2:";
const std::string kSha256 = "DHHC-1:01:SlVga3aBjJeirbjDztnk7/oFEBsmMTxHUl1oc36JlJ9Udcmo:";
const std::string kSha384 =
    "DHHC-1:02:b3qFkJumsbzH0t3o8/4JFB8qNUBLVmFsd4KNmKOuucTP2uXw+wYRHCcyPUhTXml0QnvTEQ==:";
const std::string kSha512 =
    "DHHC-1:03:"
    "lJ+qtcDL1uHs9wINGCMuOURPWmVwe4aRnKeyvcjT3un0/woVICs2QUxXYm14g46ZpK+6xdDb5vH8BxIdKDM+"
    "SRBwewA=:";

// Any six characters of a key's secret part.
bool shows(const std::string& message, const std::string& key) {
    for (size_t i = 10; i + 6 < key.size(); ++i) {
        if (message.find(key.substr(i, 6)) != std::string::npos) return true;
    }
    return false;
}

TEST(DhchapKey, AcceptsEveryKind) {
    for (const std::string& key : {kPlain, kSha256, kSha384, kSha512}) {
        const auto checked = parseDhchapKey(key);
        EXPECT_TRUE(checked.ok()) << checked.error().message;
    }
}

// Case 25: what is no key never reaches the kernel or libnvme's option string.
TEST(DhchapKey, RefusesMalformedOnes) {
    using namespace std::string_literals;
    std::string otherHash = kSha256, noHash = kPlain;
    otherHash[9 - 1] = '2';
    noHash[8] = '4';
    for (const std::string& key :
         {""s, "DHHC-1"s, "DHHC-1:00:"s, "DHHC-1:00::"s, kPlain.substr(0, kPlain.size() - 1),
          kPlain + "\n", kPlain + ":", " " + kPlain, "dhhc-1" + kPlain.substr(6),
          "DHHC-2" + kPlain.substr(6), kPlain.substr(0, 40) + "," + kPlain.substr(41),
          kPlain.substr(0, 40) + "\0"s + kPlain.substr(41),
          kPlain.substr(0, 40) + kPlain.substr(44), kPlain.substr(0, 59) + "=:", otherHash, noHash,
          "DHHC-1:00:AAAA:"s, "DHHC-1:00:" + std::string(200, 'A') + ":"}) {
        const auto checked = parseDhchapKey(key);
        ASSERT_FALSE(checked.ok()) << key;
        EXPECT_EQ(checked.error().code, EINVAL);
        EXPECT_FALSE(shows(checked.error().message, kPlain)) << checked.error().message;
    }
}

TEST(DhchapKey, NoticesEveryChangedCharacter) {
    for (size_t i = 10; i + 1 < kPlain.size(); ++i) {
        std::string changed = kPlain;
        changed[i] = changed[i] == 'B' ? 'C' : 'B';
        EXPECT_FALSE(parseDhchapKey(changed).ok()) << "character " << i;
    }
}

class KeyFileTest : public testing::Test {
 protected:
    KeyFileTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "nvmeof-key-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    ~KeyFileTest() override { std::filesystem::remove_all(folder_); }
    Result<HostKey> read(const std::string& content, mode_t mode = 0600) {
        const std::string path = folder_ + "/key";
        std::ofstream(path) << content;
        EXPECT_EQ(chmod(path.c_str(), mode), 0);
        return readKeyFile(path, PathCheck::kOn);
    }
    std::string folder_;
};

TEST_F(KeyFileTest, HoldsOneKeyOrTwo) {
    const auto one = read("# of node 7\n\nhost_key=" + kPlain);
    ASSERT_TRUE(one.ok()) << one.error().message;
    EXPECT_EQ(one.value().host.view(), kPlain);
    EXPECT_TRUE(one.value().controller.empty());
    EXPECT_EQ(one.value().hash + one.value().dhGroup, "");

    const auto two = read("dhgroup=ffdhe2048\ncontroller_key=" + kSha512 +
                          "\nhash=sha512\nhost_key=" + kSha256 + "\n");
    ASSERT_TRUE(two.ok()) << two.error().message;
    EXPECT_EQ(two.value().host.view(), kSha256);
    EXPECT_EQ(two.value().controller.view(), kSha512);
    EXPECT_EQ(two.value().hash, "hmac(sha512)");
    EXPECT_EQ(two.value().dhGroup, "ffdhe2048");
}

// While keys are being changed: the new ones first.
TEST_F(KeyFileTest, HoldsTheOldKeysBesideTheNewOnes) {
    const auto key = read("host_key=" + kPlain + "\ncontroller_key=" + kSha384 +
                          "\nhost_key=" + kSha256 + "\ncontroller_key=" + kSha512 + "\n");
    ASSERT_TRUE(key.ok()) << key.error().message;
    EXPECT_EQ(key.value().host.view(), kPlain);
    EXPECT_EQ(key.value().oldHost.view(), kSha256);
    EXPECT_EQ(key.value().controller.view(), kSha384);
    EXPECT_EQ(key.value().oldController.view(), kSha512);
    // None of the host's may be one of the controller's.
    EXPECT_FALSE(
        read("host_key=" + kPlain + "\nhost_key=" + kSha256 + "\ncontroller_key=" + kSha256 + "\n")
            .ok());
    EXPECT_FALSE(read("host_key=" + kPlain + "\ncontroller_key=" + kSha256 +
                      "\ncontroller_key=" + kPlain + "\n")
                     .ok());
}

// Cases 25 and 50: refused with file and line, and without a character of what stands there.
TEST_F(KeyFileTest, RefusesMalformedLines) {
    for (const std::string& line :
         {kPlain, "host_key=" + kPlain.substr(1), "host_key= " + kPlain,
          "host_key=" + kPlain + "\r", "hostkey=" + kPlain, kPlain + "=host_key",
          "controller_key=" + kPlain.substr(0, 30), std::string("hash=md5"), std::string("hash="),
          std::string("dhgroup=ffdhe1"), std::string("hash=sha256\nhash=sha256"),
          "host_key=" + kSha256 + "\nhost_key=" + kPlain,
          "controller_key=" + kSha256 + "\ncontroller_key=" + kPlain +
              "\ncontroller_key=" + kSha512}) {
        const auto key = read(line + "\nhost_key=" + kSha384 + "\n");
        ASSERT_FALSE(key.ok()) << line;
        EXPECT_EQ(key.error().code, EINVAL);
        EXPECT_NE(key.error().message.find("line "), std::string::npos);
        EXPECT_NE(key.error().message.find(folder_ + "/key"), std::string::npos);
        for (const std::string& secret : {kPlain, kSha256, kSha384}) {
            EXPECT_FALSE(shows(key.error().message, secret)) << key.error().message;
        }
    }
    EXPECT_FALSE(read("").ok());
    EXPECT_FALSE(read("controller_key=" + kPlain).ok());
    EXPECT_FALSE(read("host_key=" + kPlain + "\ncontroller_key=" + kPlain).ok())
        << "whoever knows one end's answer could give it for the other";
}

TEST_F(KeyFileTest, IsNobodyElses) {
    for (const mode_t mode : {0640, 0604, 0620}) {
        const auto key = read("host_key=" + kPlain, mode);
        ASSERT_FALSE(key.ok());
        EXPECT_EQ(key.error().code, EACCES);
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
