// SPDX-License-Identifier: Apache-2.0
// This node's own files as a segment sees them: what is opened itself, and what is left to the
// network.
#include "local_access.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

const TransportAddress kAddress{"tcp", "ipv4", "127.0.0.1", "4420"};
constexpr char kOwn[] = "nqn.2026-01.org.example:own";
constexpr uint64_t kSize = 8192;

struct FakeTarget : Target {
    const std::string& subsystemNqn() const override { return nqn; }
    const TransportAddresses& addresses() const override {
        static const TransportAddresses all{kAddress};
        return all;
    }
    Result<ExportedFile> addFile(uint32_t, const std::string&, uint64_t,
                                 const FileRules&) override {
        return makeError(EINVAL, "not here");
    }
    void cutOff() override {}
    Result<> removeFile(uint32_t) override { return {}; }
    bool exports(uint32_t nsid) override { return files.contains(nsid); }
    Result<LocalFile> openLocally(uint32_t nsid, int) override {
        if (error != 0) return makeError(error, "open");
        const auto file = files.find(nsid);
        if (file == files.end()) return makeError(ENOENT, "open");
        return LocalFile{UniqueFd(::open(file->second.c_str(), O_RDWR | O_CLOEXEC)), file->second,
                         kSize, 4096, readOnly};
    }
    TargetCounts counts() override { return {}; }
    Result<> setAllowedHosts(const std::vector<std::string>&) override { return {}; }

    std::string nqn = kOwn;
    std::map<uint32_t, std::string> files;
    bool readOnly = false;
    int error = 0;
};

struct NetworkConnection : Connection {
    explicit NetworkConnection(std::string n) : nqn(std::move(n)) {}
    const std::string& subsystemNqn() const override { return nqn; }
    bool isLive() const override { return up; }
    bool isReconnecting() const override { return false; }
    bool isOurs() const override { return true; }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>&) override { return true; }
    void giveUp() override {}
    std::string nqn;
    bool up = true;
};

struct Network : Initiator {
    Result<std::shared_ptr<Connection>> connect(const TransportAddresses&,
                                                const std::string& nqn) override {
        ++connects;
        last = std::make_shared<NetworkConnection>(nqn);
        return std::shared_ptr<Connection>(last);
    }
    Result<RemoteNamespace> openNamespace(const Connection& connection, uint32_t, uint64_t size,
                                          int, std::chrono::steady_clock::time_point) override {
        return RemoteNamespace{UniqueFd(), "over " + connection.subsystemNqn(), size, 512};
    }
    Result<> checkNamespace(const Connection&, uint32_t, uint64_t, const UniqueFd&) override {
        ++checks;
        return {};
    }
    int connects = 0;
    int checks = 0;
    std::shared_ptr<NetworkConnection> last;
};

class LocalNamespaceTest : public ::testing::Test {
 protected:
    LocalNamespaceTest() {
        std::ofstream(path_) << std::string(kSize, 'x');
        target.files[1] = path_;
    }
    ~LocalNamespaceTest() override { std::filesystem::remove(path_); }

    std::shared_ptr<Connection> connect(const std::string& nqn) {
        auto connected = local.connect(kAddress, nqn);
        EXPECT_TRUE(connected.ok());
        return connected.take();
    }
    Result<RemoteNamespace> open(const Connection& connection, uint64_t size = kSize) {
        return local.openNamespace(connection, 1, size, 0, {});
    }

    const std::string path_ =
        ::testing::TempDir() + "/local_namespace_test_file." + std::to_string(getpid());
    FakeTarget target;
    std::unique_ptr<Network> owned = std::make_unique<Network>();
    Network& network = *owned;
    LocalAccess local{std::move(owned), target, {kAddress}};
};

TEST_F(LocalNamespaceTest, OwnFilesNeedNoNetwork) {
    const auto connection = connect(kOwn);
    const auto opened = open(*connection);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened.value().deviceName, path_);
    EXPECT_EQ(opened.value().size, kSize);
    EXPECT_EQ(opened.value().blockSize, 4096u);
    EXPECT_FALSE(opened.value().readOnly);
    char byte = 0;
    EXPECT_EQ(::pread(opened.value().fd.get(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'x');
    EXPECT_TRUE(connection->isLive());
    EXPECT_FALSE(connection->isOurs()) << "there is nothing to give up";
    EXPECT_EQ(network.connects, 0);
    EXPECT_EQ(connect(kOwn), connection) << "one connection as long as somebody has it";
}

TEST_F(LocalNamespaceTest, RightsAndSizeAreThoseOfTheExport) {
    const auto connection = connect(kOwn);
    EXPECT_EQ(open(*connection, 2 * kSize).error().code, ESTALE);
    target.readOnly = true;
    EXPECT_TRUE(open(*connection).value().readOnly);
}

// The segment waits for it, and looks whether the record still has it.
TEST_F(LocalNamespaceTest, AFileThatIsNotExportedIsNotThere) {
    target.files.clear();
    EXPECT_EQ(open(*connect(kOwn)).error().code, ENXIO);
}

TEST_F(LocalNamespaceTest, WithoutDirectIoItGoesOverTheNetwork) {
    target.error = EOPNOTSUPP;
    const auto connection = connect(kOwn);
    const auto opened = open(*connection);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened.value().deviceName, std::string("over ") + kOwn);
    EXPECT_TRUE(connection->isOurs());
    EXPECT_TRUE(local.checkNamespace(*connection, 1, kSize, opened.value().fd).ok());
    EXPECT_EQ(network.checks, 1);
    network.last->up = false;
    EXPECT_FALSE(connection->isLive());
    EXPECT_NE(connect(kOwn), connection) << "a new one, when that one is down";
}

TEST_F(LocalNamespaceTest, ALookTellsWhetherTheFileIsStillServedAndWhole) {
    const auto connection = connect(kOwn);
    const auto opened = open(*connection);
    ASSERT_TRUE(opened.ok());
    const auto look = [&] {
        const auto checked = local.checkNamespace(*connection, 1, kSize, opened.value().fd);
        return checked.ok() ? 0 : checked.error().code;
    };
    EXPECT_EQ(look(), 0);
    std::filesystem::resize_file(path_, kSize / 2);
    EXPECT_EQ(look(), ESTALE);
    std::filesystem::resize_file(path_, kSize);
    EXPECT_EQ(look(), 0);
    target.files.clear();
    EXPECT_EQ(look(), ENXIO);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
