// SPDX-License-Identifier: Apache-2.0
#include "nodes.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace mooncake::test {
namespace {

// Before the first engine: which plugin, and SIGPIPE as servers have it.
const bool prepared = [] {
    setenv("MC_TRANSPORT_PLUGIN_PATH", LOCAL_TRANSPORT_PLUGIN, 1);
    signal(SIGPIPE, SIG_IGN);
    return true;
}();

constexpr size_t kHeader = kMiB;
constexpr size_t kRegion = 4 * kMiB;

}  // namespace

bool eventually(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + kForever;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

std::string contentOf(const std::string& key, size_t size) {
    std::string bytes(size, '\0');
    uint64_t state = std::hash<std::string>()(key) | 1;
    for (size_t at = 0; at < size; at += sizeof(state)) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const uint64_t word = state ^ state >> 29;
        std::memcpy(bytes.data() + at, &word, std::min(sizeof(word), size - at));
    }
    return bytes;
}

std::string contents(const std::string& path, uint64_t offset, size_t length) {
    std::ifstream file(path, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    std::string bytes(length, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(length));
    EXPECT_EQ(file.gcount(), static_cast<std::streamsize>(length)) << path;
    return bytes;
}

void flip(const std::string& path, uint64_t offset) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    char byte = 0;
    EXPECT_EQ(pread(fd, &byte, 1, static_cast<off_t>(offset)), 1);
    byte = static_cast<char>(byte ^ 1);
    EXPECT_EQ(pwrite(fd, &byte, 1, static_cast<off_t>(offset)), 1);
    // The store reads past the page cache.
    EXPECT_EQ(fsync(fd), 0);
    close(fd);
}

Folder::Folder() {
    std::string pattern = std::filesystem::current_path() / "store-client-XXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
}

Folder::~Folder() {
    std::filesystem::remove_all(path_);
}

std::string Folder::file(const std::string& name, size_t bytes) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary | std::ios::trunc).close();
    std::filesystem::resize_file(path, bytes);
    return path;
}

ClientOptions nodeOptions(const std::string& directory, const std::string& node) {
    EXPECT_TRUE(prepared);
    ClientOptions options;
    options.local_hostname = "127.0.0.1:0";
    options.protocol_args = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    options.directory = directory;
    options.node = node;
    options.lease = std::chrono::seconds(100);
    options.timeout = kForever;
    return options;
}

ClientOptions shortLived(ClientOptions options) {
    options.lease = std::chrono::seconds(2);
    options.io_bound = std::chrono::milliseconds(200);
    return options;
}

std::shared_ptr<Client> join(const ClientOptions& options) {
    auto client = Client::Create(options);
    EXPECT_TRUE(client) << Client::LastError();
    return client ? std::move(*client) : nullptr;
}

ErrorCode put(Client& client, const std::string& key, size_t size, const ReplicateConfig& config) {
    std::string bytes = contentOf(key, size);
    std::vector<Slice> slices{{bytes.data(), size}};
    const auto done = client.Put(key, slices, config);
    return done ? ErrorCode::OK : done.error();
}

ErrorCode get(Client& client, const std::string& key, size_t size) {
    std::string bytes(size, '?');
    std::vector<Slice> slices{{bytes.data(), size}};
    const auto done = client.Get(key, slices);
    if (!done) return done.error();
    return bytes == contentOf(key, size) ? ErrorCode::OK : ErrorCode::INTERNAL_ERROR;
}

ErrorCode mount(Client& client, const std::string& path, bool overwrite) {
    const auto done = client.MountFileSegment(path, MountOptions{overwrite});
    return done ? ErrorCode::OK : done.error();
}

bool exists(Client& client, const std::string& key) {
    const auto found = client.IsExist(key);
    EXPECT_TRUE(found) << Client::LastError();
    return found.value_or(false);
}

bool knowsFiles(Client& client, size_t served) {
    return eventually([&] {
        return client.GetSummaryMetrics().value().find("files served " + std::to_string(served) +
                                                       ",") != std::string::npos;
    });
}

std::shared_ptr<Client> StoreTest::nodeWithFile(const std::string& name, size_t regions) {
    auto client = node(name);
    if (!client) return nullptr;
    EXPECT_EQ(mount(*client, folder.file(name, kHeader + regions * kRegion)), ErrorCode::OK)
        << Client::LastError();
    return client;
}

void endLease(const std::string& directory, uint64_t client) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(directory.c_str(), &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 60000);
    const std::string statement = "DELETE FROM client WHERE id = " + std::to_string(client);
    EXPECT_EQ(sqlite3_exec(database, statement.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_changes(database), 1);
    sqlite3_close(database);
}

uint64_t placeOf(const Replica::Extent& extent) {
    return kHeader + extent.region * kRegion + extent.offset;
}

}  // namespace mooncake::test
