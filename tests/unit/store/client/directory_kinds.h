// SPDX-License-Identifier: Apache-2.0
// A store on a directory of either kind, with its real server.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nodes.h"

namespace mooncake::test {

class EtcdServer;

// The kinds that this program is built with: "sqlite" and "etcd".
std::vector<std::string> directoryKinds();

// @param GetParam()  one of these
class DirectoryKindsTest : public testing::TestWithParam<std::string> {
 protected:
    DirectoryKindsTest();
    ~DirectoryKindsTest() override;

    std::shared_ptr<Client> node(const std::string& name) const;
    // With a file that it mounts, of some regions of 4 MiB.
    std::shared_ptr<Client> nodeWithFile(const std::string& name, size_t regions) const;
    std::string fileOf(const std::string& node) const { return folder.path() + "/" + node; }
    // As if the directory were lost: another one, which is empty.
    void loseDirectory();

    const Folder folder;
    std::string directory;

 private:
    std::unique_ptr<EtcdServer> server_;
    int directories_ = 0;
};

}  // namespace mooncake::test
