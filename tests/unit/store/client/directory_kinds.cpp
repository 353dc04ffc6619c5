// SPDX-License-Identifier: Apache-2.0
#include "directory_kinds.h"

#ifdef USE_ETCD
#include "store_server.h"
#else
namespace mooncake::test {
class EtcdServer {};
}  // namespace mooncake::test
#endif

namespace mooncake::test {

std::vector<std::string> directoryKinds() {
#ifdef USE_ETCD
    return {"sqlite", "etcd"};
#else
    return {"sqlite"};
#endif
}

DirectoryKindsTest::DirectoryKindsTest() {
#ifdef USE_ETCD
    if (GetParam() == "etcd") {
        server_ = std::make_unique<EtcdServer>();
        server_->start();
    }
#endif
    loseDirectory();
}

DirectoryKindsTest::~DirectoryKindsTest() = default;

void DirectoryKindsTest::loseDirectory() {
    const std::string name = "directory" + std::to_string(directories_++);
    directory = folder.path() + "/" + name;
#ifdef USE_ETCD
    if (server_) directory = server_->connString() + "/" + name;
#endif
}

std::shared_ptr<Client> DirectoryKindsTest::node(const std::string& name) const {
    return join(nodeOptions(directory, name));
}

std::shared_ptr<Client> DirectoryKindsTest::nodeWithFile(const std::string& name,
                                                         size_t regions) const {
    auto client = node(name);
    if (!client) return nullptr;
    EXPECT_EQ(mount(*client, folder.file(name, kMiB + regions * 4 * kMiB)), ErrorCode::OK)
        << Client::LastError();
    return client;
}

}  // namespace mooncake::test
