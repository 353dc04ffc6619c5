// SPDX-License-Identifier: Apache-2.0
// The tool beside real nodes, on a directory of either kind.
#pragma once

#include <json/json.h>

#include <memory>
#include <string>
#include <vector>

#include "nodes.h"

namespace mooncake::test {

class EtcdServer;

struct Said {
    int status = -1;
    std::string out;
    std::string err;

    Json::Value json() const;
};

// @param GetParam()  "sqlite" or "etcd"
class ToolTest : public testing::TestWithParam<std::string> {
 protected:
    ToolTest();
    ~ToolTest() override;

    // Runs the tool on the directory.
    Said tool(std::vector<std::string> words, const std::string& input = "") const;
    // Its JSON, where it ends well.
    Json::Value ask(std::vector<std::string> words) const;

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

// The kinds that this program is built with.
std::vector<std::string> directoryKinds();

}  // namespace mooncake::test
