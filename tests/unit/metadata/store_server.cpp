// SPDX-License-Identifier: Apache-2.0
#include "store_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace mooncake::test {

using test_support::ChildProcess;

namespace {

constexpr std::chrono::seconds kReady(60);

std::string textOf(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

uint16_t freePort() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

StoreLimits testLimits() {
    StoreLimits limits;
    limits.connect = std::chrono::milliseconds(20000);
    limits.total = std::chrono::milliseconds(20000);
    limits.pause = std::chrono::milliseconds(1);
    return limits;
}

StoreServer::StoreServer() {
    std::string pattern = testing::TempDir() + "store_server_XXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr) << pattern;
    folder_ = pattern;
}

StoreServer::~StoreServer() {
    std::filesystem::remove_all(folder_);
}

void StoreServer::kill() {
    process_.reset();
}

std::shared_ptr<MetadataStorage> StoreServer::storage() const {
    std::shared_ptr<MetadataStorage> storage;
    EXPECT_TRUE(createMetadataStorage(connString(), testLimits(), &storage).ok());
    return storage;
}

void StoreServer::start() {
    const bool again = port_ != 0;
    const auto deadline = std::chrono::steady_clock::now() + kReady;
    // Somebody may take the port between its choice and its use; then another is chosen.
    for (int tries = 0; tries < (again ? 1 : 5); ++tries) {
        if (!again) port_ = freePort();
        process_ = spawn();
        StoreLimits limits;
        limits.attempts = 1;
        limits.total = std::chrono::milliseconds(1000);
        std::shared_ptr<MetadataStorage> storage;
        ASSERT_TRUE(createMetadataStorage(connString(), limits, &storage).ok()) << connString();
        std::string value;
        while (process_->running() && std::chrono::steady_clock::now() < deadline) {
            // Any answer will do, also one that asks for a password.
            if (storage->get("ready", &value).outcome != MetadataStorage::Outcome::kFailed) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    FAIL() << connString() << " did not come up:\n"
           << textOf(folder_ + "/log")
           << "\"scripts/install_deps.sh servers\" installs what these tests start";
}

std::string HttpServer::connString() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/metadata";
}

std::unique_ptr<ChildProcess> HttpServer::spawn() {
    return std::make_unique<ChildProcess>(
        std::vector<std::string>{METADATA_SERVER_PROGRAM, "--host=127.0.0.1",
                                 "--port=" + std::to_string(port_)},
        std::vector<std::string>{}, folder_);
}

#ifdef USE_ETCD
std::string EtcdServer::connString() const {
    return "etcd://" + (scheme_ == "http" ? "127.0.0.1:" + std::to_string(port_) : url());
}

void EtcdServer::wipe() {
    std::filesystem::remove_all(folder_ + "/data");
}

void EtcdServer::save() const {
    std::filesystem::copy(folder_ + "/data", folder_ + "/saved",
                          std::filesystem::copy_options::recursive);
}

void EtcdServer::restore() const {
    std::filesystem::remove_all(folder_ + "/data");
    std::filesystem::rename(folder_ + "/saved", folder_ + "/data");
}

std::unique_ptr<ChildProcess> EtcdServer::spawn() {
    // It has no peers; a socket in its folder takes no port.
    const std::string peer = "unix://127.0.0.1:" + std::to_string(port_);
    std::vector<std::string> arguments = {"etcd",
                                          "--name=test",
                                          "--data-dir=" + folder_ + "/data",
                                          "--listen-client-urls=" + url(),
                                          "--advertise-client-urls=" + url(),
                                          "--listen-peer-urls=" + peer,
                                          "--initial-advertise-peer-urls=" + peer,
                                          "--initial-cluster=test=" + peer};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    return std::make_unique<ChildProcess>(std::move(arguments), std::vector<std::string>{},
                                          folder_);
}
#endif

#ifdef USE_REDIS
std::string RedisServer::connString() const {
    return "redis://127.0.0.1:" + std::to_string(port_);
}

std::unique_ptr<ChildProcess> RedisServer::spawn() {
    std::vector<std::string> arguments = {
        "redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1", "--dir", folder_,
        "--save",       "",       "--appendonly",        "no"};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    return std::make_unique<ChildProcess>(std::move(arguments), std::vector<std::string>{},
                                          folder_);
}
#endif

}  // namespace mooncake::test
