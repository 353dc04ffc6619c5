// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "server_config.h"
#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "variable.h"

namespace mooncake::file_server {
namespace {

using nvmeof_generic::inQuotes;
using nvmeof_generic::TempDir;
using test::Variable;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kServer =
    "segment = node-1\n"
    "metadata = http://127.0.0.1:8080/metadata\n"
    "traddr = 192.0.2.10\n"
    "allow_any_host = yes\n";

void refuses(const std::string& text, const std::string& reason) {
    const auto config = parseConfig(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().code, EINVAL);
    EXPECT_THAT(config.error().message, HasSubstr(reason)) << text;
}

TEST(Config, LeastOfAll) {
    const auto config = parseConfig(kServer);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config.value().segment, "node-1");
    EXPECT_EQ(config.value().metadata, "http://127.0.0.1:8080/metadata");
    EXPECT_TRUE(config.value().files.empty());
    EXPECT_FALSE(config.value().strict);
    EXPECT_FALSE(config.value().takeover);
    EXPECT_EQ(transportArguments(config.value()),
              "trtype=tcp adrfam=ipv4 traddr=192.0.2.10 trsvcid=4420");
}

TEST(Config, Everything) {
    const auto config = parseConfig(
        "# who I am\r\n"
        "segment=[fd00::1]:12345\r\n"
        "  metadata\t=  etcd://a:1,b:2  \n"
        "trtype = rdma\nadrfam = ipv6\ntraddr = fd00::1\ntrsvcid = 4421\n"
        "allowed_hosts = nqn.2026-01.org.example:a, nqn.2026-01.org.example:b\n"
        "dhchap_keys = /etc/nvme/keys\n"
        "strict = yes\n"
        "takeover = yes\n"
        "\n"
        "[file /data/a file # with blanks]\n"
        "; and a size\n"
        "size = 10G\n"
        "[file   /data//x/../b/]\n"
        "[ file /dev/disk/by-id/c ]\n"
        "size = 4096\n"
        "id = 65535");
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config.value().segment, "[fd00::1]:12345");
    EXPECT_TRUE(config.value().strict);
    EXPECT_TRUE(config.value().takeover);
    EXPECT_THAT(
        config.value().files,
        ElementsAre(FileEntry{"/data/a file # with blanks", uint64_t{10} << 30, {}},
                    FileEntry{"/data/b/", {}, {}}, FileEntry{"/dev/disk/by-id/c", 4096, 65535u}));
    EXPECT_EQ(transportArguments(config.value()),
              "trtype=rdma adrfam=ipv6 traddr=fd00::1 trsvcid=4421 "
              "allowed_hosts=nqn.2026-01.org.example:a,nqn.2026-01.org.example:b "
              "dhchap_keys=/etc/nvme/keys");
}

TEST(Config, WhatMayBeExportedAndToWhere) {
    const auto config = parseConfig(
        "segment = n\nmetadata = P2PHANDSHAKE\ntraddr = 0.0.0.0\nallow_any_host = yes\n"
        "advertise = 192.0.2.1:30420\npath_check = no\n"
        "[file /srv/a/x]\nread_only = yes\npath_check = no\nmount = /srv//a/\n[file /b]\n");
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(transportArguments(config.value()),
              "trtype=tcp adrfam=ipv4 traddr=0.0.0.0 trsvcid=4420 advertise=192.0.2.1:30420 "
              "path_check=off");
    ASSERT_EQ(config.value().files.size(), 2u);
    const FileEntry& file = config.value().files[0];
    EXPECT_TRUE(file.readOnly);
    EXPECT_FALSE(file.pathCheck);
    EXPECT_EQ(file.mount, "/srv/a");
    EXPECT_EQ(config.value().files[1], (FileEntry{"/b", {}}));
    for (const char* mount : {"/srv/b", "srv", "/srv/a/x", "/srv/a/../b", "/sr"}) {
        refuses(kServer + "[file /srv/a/x]\nmount = " + mount + "\n", "line 6: mount = ");
    }
    EXPECT_TRUE(parseConfig(kServer + "[file /srv/a/x]\nmount = /\n").ok());
    refuses("segment = n\nmetadata = P2PHANDSHAKE\ntraddr = 0.0.0.0\nallow_any_host = yes\n",
            "advertise=");
    refuses(kServer + "advertise = 1.2.3.4 trsvcid=1\n", "advertise=");
    refuses(kServer + "[file /a]\nread_only = on\n", "line 6: read_only = 'on'");
}

// Case 50
TEST(Config, MalformedLinesAreNamed) {
    refuses(kServer + "[file /a\n", "line 5: '[file /a' is no section");
    refuses(kServer + "[]\n", "line 5: '[]' is no section");
    refuses(kServer + "strict\n", "line 5: 'strict' is no setting");
    refuses(kServer + "strict =\n", "line 5: 'strict =' is no setting");
    refuses(kServer + "= yes\n", "line 5: '= yes' is no setting");
    refuses(kServer + "\n# x\nsegment = b\n", "line 7: 'segment' was said in line 1 already");
    refuses(kServer + "str\x01ict = yes\n", "line 5: it holds a control character");
    refuses(kServer + std::string("strict = yes\0no\n", 16), "line 5: it holds a control");
}

// Case 50: never a silent default.
TEST(Config, WrongValuesAreNamed) {
    refuses(kServer + "colour = red\n", "line 5: the server");
    refuses(kServer + "strict = maybe\n", "line 5: strict = 'maybe': expected yes or no");
    for (const char* size : {"0", "-1", "1k", "1GB", "G", "1 G", "18446744073709551616",
                             "18014398509481985K", "0x10", "1.5G"}) {
        refuses(kServer + "[file /a]\nsize = " + size + "\n",
                "line 6: size = '" + std::string(size) + "': expected bytes above 0");
    }
    for (const char* id : {"0", "65536", "4294967297", "-1", "+1", "1 2", "x", "1K"}) {
        refuses(kServer + "[file /a]\nid = " + id + "\n",
                "line 6: id = '" + std::string(id) + "': expected a whole number from 1");
    }
    refuses(kServer + "[file /a]\nid = 7\n[file /b]\nid = 8\n[file /c]\nid = 7\n",
            "line 9: file '/c': id = 7 is that of file '/a' already");
    refuses(kServer + "[file a]\n", "line 5: file 'a': expected an absolute path");
    refuses(kServer + "[file /a]\n[file /b/../a]\n", "line 6: file '/a' was named before");
    refuses(kServer + "[files /a]\n", "line 5: there is no section 'files /a'");
    refuses(kServer + "[file /a]\nstrict = yes\n", "line 6: [file /a] has no setting 'strict'");
    refuses("segment = a b\n", "line 1: segment = 'a b': ");
    refuses("segment = a/b\n", "line 1: segment = 'a/b': ");
    refuses("metadata = gopher://h\n", "line 1: metadata = ");
}

// Cases 25 and 26: nothing of the kind reaches the transport, whose arguments are apart by blanks.
TEST(Config, NothingInjectsArguments) {
    const std::string server = "segment = n\nmetadata = P2PHANDSHAKE\ntraddr = 127.0.0.1\n";
    refuses(
        "segment = n\nmetadata = P2PHANDSHAKE\nallow_any_host = yes\n"
        "traddr = 127.0.0.1 trsvcid=1\n",
        "traddr must be a numeric ipv4 address");
    refuses(kServer + "trsvcid = 0\n", "trsvcid must be a number from 1 to 65535");
    refuses(kServer + "trtype = fc\n", "trtype must be tcp or rdma");
    refuses(server + "allowed_hosts_file = /a b\n", "an absolute path without blanks");
    refuses(server + "allowed_hosts_file = hosts\n", "an absolute path without blanks");
    refuses(server + "dhchap_keys = /keys trsvcid=1\n", "an absolute path without blanks");
    refuses(server + "allowed_hosts = a/b\n", "line 4: allowed_hosts = 'a/b': ");
    refuses(server + "allowed_hosts = ,\n", "expected host NQNs");
}

TEST(Config, SeveralAddresses) {
    const std::string several =
        "segment = n\nmetadata = P2PHANDSHAKE\nallow_any_host = yes\n"
        "traddr = 192.0.2.10,198.51.100.10\n";
    const auto config = parseConfig(several);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(transportArguments(config.value()),
              "trtype=tcp adrfam=ipv4 traddr=192.0.2.10,198.51.100.10 trsvcid=4420");
    EXPECT_TRUE(parseConfig(several + "trsvcid = 4420,4421\n").ok());
    refuses(several + "trsvcid = 1,2,3\n", "has 2 values for 3 addresses");
    refuses(several + "advertise = 192.0.2.99\n", "give one for each");
}

TEST(Config, WhatIsMissingIsNamed) {
    refuses("", "it lacks the setting segment");
    refuses("segment = a\n", "it lacks the setting metadata");
    refuses("segment = a\nmetadata = P2PHANDSHAKE\n", "it lacks the setting traddr");
    const std::string server = "segment = n\nmetadata = P2PHANDSHAKE\ntraddr = 127.0.0.1\n";
    refuses(server, "it does not say who may connect");
    refuses(server + "allow_any_host = no\n", "it does not say who may connect");
    refuses(server + "allow_any_host = yes\nallowed_hosts = nqn.2026-01.org.example:a\n",
            "contradicts");
    refuses(server + "allow_any_host = yes\ndhchap_keys = /keys\n", "contradicts");
    refuses(server + "allowed_hosts_file = /h\nallowed_hosts = nqn.2026-01.org.example:a\n",
            "exclude each other");
    EXPECT_TRUE(parseConfig(server + "allowed_hosts_file = /h\n").ok());
}

TEST(Config, PasswordsAreNotRepeated) {
    const auto config = parseConfig("metadata = redis://user:secret@host:1\n");
    ASSERT_FALSE(config.ok());
    EXPECT_THAT(config.error().message, AllOf(HasSubstr("line 1"), Not(HasSubstr("secret"))));
}

// Case 20
TEST(Config, AsManyFilesAsTheKernelTakes) {
    std::string text = kServer;
    for (int i = 0; i < 1024; ++i) text += "[file /data/" + std::to_string(i) + "]\n";
    EXPECT_TRUE(parseConfig(text).ok());
    refuses(text + "[file /data/more]\n", "line 1029: the kernel serves at most 1024 files");
}

TEST(Config, ReadsFilesAlone) {
    TempDir dir;
    const std::string path = dir.path() + "/conf";
    const auto fails = [&](const std::string& at, int code) {
        const auto config = readConfig(at);
        ASSERT_FALSE(config.ok()) << at;
        EXPECT_EQ(config.error().code, code) << config.error().message;
        EXPECT_THAT(config.error().message, HasSubstr(at));
    };
    fails(path, ENOENT);
    fails(dir.path(), EINVAL);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    fails(path, EINVAL);
    unlink(path.c_str());
    std::ofstream(path) << kServer << "strict = 1\n";
    fails(path, EINVAL);
    std::ofstream(path) << kServer << std::string(size_t{9} << 20, '\n');
    fails(path, EFBIG);
    std::ofstream(path) << kServer;
    EXPECT_TRUE(readConfig(path).ok());
}

// The one that is installed says what has to be said before it can be used, and nothing else.
TEST(Config, TheInstalledOne) {
    std::ifstream file(FILE_SERVER_EXAMPLE);
    std::stringstream text;
    text << file.rdbuf();
    refuses(text.str(), "it lacks the setting segment");
    std::string all = text.str();
    for (size_t at = 0; (at = all.find("\n#", at)) != std::string::npos; ++at) {
        // A setting that is commented out has no blank behind the '#'.
        if (all[at + 2] != ' ' && all[at + 2] != '\n') all.erase(at + 1, 1);
    }
    const auto config = parseConfig(all);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config.value().files.size(), 2u);
}

TEST(FixedChange, EachSettingThatTakesARestart) {
    const ServerConfig old = parseConfig(kServer + "[file /a]\n").take();
    EXPECT_EQ(findFixedChange(old, parseConfig(kServer + "strict = yes\n[file /b]\n").value()),
              std::nullopt);
    const auto names = [&](const std::string& setting, auto change) {
        ServerConfig wanted = old;
        change(wanted);
        const auto found = findFixedChange(old, wanted);
        ASSERT_TRUE(found) << setting;
        EXPECT_THAT(*found, testing::StartsWith(setting + " differs"));
    };
    names("segment", [](auto& config) { config.segment = "x"; });
    names("metadata", [](auto& config) { config.metadata = "x"; });
    names("trtype", [](auto& config) { config.address.trtype = "rdma"; });
    names("adrfam", [](auto& config) { config.address.adrfam = "ipv6"; });
    names("traddr", [](auto& config) { config.address.traddr = "x"; });
    names("trsvcid", [](auto& config) { config.address.trsvcid = "1"; });
    names("allow_any_host", [](auto& config) { config.allowAnyHost = false; });
    names("allowed_hosts", [](auto& config) { config.allowedHosts = {"x"}; });
    names("allowed_hosts_file", [](auto& config) { config.allowedHostsFile = "/x"; });
    names("dhchap_keys", [](auto& config) { config.dhchapKeys = "/x"; });
}

class FragmentTest : public testing::Test {
 protected:
    FragmentTest() { std::filesystem::create_directory(config_ + ".d"); }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(config_ + ".d/" + name) << text;
    }
    void refused(const testing::Matcher<std::string>& message) const {
        const auto config = readConfig(config_);
        ASSERT_FALSE(config.ok());
        EXPECT_THAT(config.error().message, message);
    }

    TempDir dir_;
    const std::string config_ = dir_.path() + "/conf";
};

TEST_F(FragmentTest, AreReadAfterTheFileInTheOrderOfTheirNames) {
    std::ofstream(config_) << "segment = node\ntraddr = 127.0.0.1\n[file /a]\n";
    write("20-more.conf", "[file /c]\nsize = 4K\n");
    write("10-site.conf",
          "metadata = http://127.0.0.1:1/metadata\nallow_any_host = yes\n"
          "[file /b]\n");
    write(".hidden.conf", "nonsense");
    write("20-more.conf.dpkg-old", "nonsense");
    const auto config = readConfig(config_);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_THAT(config.value().files,
                ElementsAre(FileEntry{"/a", {}}, FileEntry{"/b", {}}, FileEntry{"/c", 4096}));
    EXPECT_TRUE(config.value().allowAnyHost);
}

TEST_F(FragmentTest, WhatIsSaidTwiceIsAnErrorWithBothPlaces) {
    std::ofstream(config_) << kServer << "[file /a]\n";
    write("x.conf", "# one more\nsegment = other\n");
    refused(AllOf(HasSubstr("conf.d/x.conf': line 2: 'segment' was said in '"),
                  HasSubstr(dir_.path() + "/conf': line 1 already")));
    write("x.conf", "[file /b]\n[file //a]\n");
    refused(AllOf(HasSubstr("conf.d/x.conf': line 2: file '/a' was named before already, in '"),
                  HasSubstr(dir_.path() + "/conf': line 5")));
    write("x.conf", "[file /b]\nsize = 0\n");
    refused(HasSubstr("conf.d/x.conf': line 2: size = '0'"));
}

TEST_F(FragmentTest, OneThatCannotBeReadIsAnError) {
    std::ofstream(config_) << kServer;
    std::filesystem::create_directory(config_ + ".d/x.conf");
    refused(HasSubstr("cannot use file '" + config_ + ".d/x.conf'"));
}

// What it says root gives away: nobody else may say it.
TEST_F(FragmentTest, OneThatOthersMayWriteIsAnError) {
    const std::string fragment = config_ + ".d/x.conf", folder = config_ + ".d";
    std::ofstream(config_) << kServer;
    write("x.conf", "[file /a]\n");
    ASSERT_TRUE(readConfig(config_).ok());
    for (const std::string& file : {config_, fragment}) {
        ASSERT_EQ(chmod(file.c_str(), 0664), 0);
        refused(AllOf(HasSubstr(inQuotes(file)), HasSubstr("chmod go-w")));
        ASSERT_EQ(chmod(file.c_str(), 0644), 0);
    }
    ASSERT_EQ(chmod(folder.c_str(), 0775), 0);
    refused(AllOf(HasSubstr(inQuotes(fragment)), HasSubstr("folder " + inQuotes(folder)),
                  HasSubstr("MC_NVMEOF_GENERIC_PATH_CHECK=off")));
    {
        const Variable off("MC_NVMEOF_GENERIC_PATH_CHECK", "off");
        EXPECT_TRUE(readConfig(config_).ok()) << "the folders of a container";
    }
    ASSERT_EQ(chmod(folder.c_str(), 0755), 0);
    if (geteuid() != 0) return;  // nobody else's files can be made
    ASSERT_EQ(chown(fragment.c_str(), 65534, 65534), 0);
    refused(AllOf(HasSubstr(inQuotes(fragment)), HasSubstr("user 65534")));
}

}  // namespace
}  // namespace mooncake::file_server
