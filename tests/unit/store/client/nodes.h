// SPDX-License-Identifier: Apache-2.0
// Nodes of one process with the whole engine and plugin, on local files
// (tests/support/local_transport).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mooncake_store/client.h"

namespace mooncake::test {

constexpr size_t kMiB = 1 << 20;
// What store_child puts.
constexpr size_t kChildBytes = 200000;
// Nothing that ends at all takes this long.
constexpr std::chrono::seconds kForever{60};

// @return whether the condition came true within kForever
bool eventually(const std::function<bool()>& condition);

// An object's bytes: they name its key and the place within it.
std::string contentOf(const std::string& key, size_t size);

// What the file holds, read by the system's own way.
std::string contents(const std::string& path, uint64_t offset, size_t length);
// Changes the byte there.
void flip(const std::string& path, uint64_t offset);

// A folder in the working directory, where direct I/O works. Removed with everything in it.
class Folder {
 public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    const std::string& path() const { return path_; }
    // An empty file. @return its path
    std::string file(const std::string& name, size_t bytes) const;

 private:
    std::string path_;
};

// Leases that do not end in a test, however slow the machine.
ClientOptions nodeOptions(const std::string& directory, const std::string& node);
// Leases that end soon, and are not waited for long after that.
ClientOptions shortLived(ClientOptions options);

// Such a client, or null.
std::shared_ptr<Client> join(const ClientOptions& options);

ErrorCode put(Client& client, const std::string& key, size_t size,
              const ReplicateConfig& config = {});
// OK where the bytes are those of the key; INTERNAL_ERROR where there are others.
ErrorCode get(Client& client, const std::string& key, size_t size);
ErrorCode mount(Client& client, const std::string& path, bool overwrite = false);
bool exists(Client& client, const std::string& key);
// Waits until the client knows of so many files that are served.
bool knowsFiles(Client& client, size_t served);

// A store on SQLite in a folder of its own.
class StoreTest : public testing::Test {
 protected:
    StoreTest() : directory(folder.path() + "/store.db") {}

    std::shared_ptr<Client> node(const std::string& name = "one") {
        return join(nodeOptions(directory, name));
    }
    // With a file that it mounts, of some regions of 4 MiB.
    std::shared_ptr<Client> nodeWithFile(const std::string& name, size_t regions);
    std::string fileOf(const std::string& node) const { return folder.path() + "/" + node; }

    const Folder folder;
    const std::string directory;
};

// Has the directory forget a client, as if its lease had ended.
void endLease(const std::string& directory, uint64_t client);

// Where the bytes of an extent lie in its file, of regions of 4 MiB.
uint64_t placeOf(const Replica::Extent& extent);

}  // namespace mooncake::test
