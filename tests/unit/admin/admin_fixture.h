// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <json/json.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "fake_nvmet.h"
#include "roots.h"
#include "target_process.h"
#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/target/target.h"
#include "tree_snapshot.h"

namespace mooncake::nvmeof_generic::admin {

struct Outcome {
    int status;
    std::string out;
    std::string err;

    Json::Value json() const;
};

/// Writes a file, and makes the folders that it lies in.
void putFile(const std::string& path, const std::string& content);

/// A machine made of folders, with a fake of nvmet, on which targets run in processes of their own.
class AdminTest : public testing::Test {
 protected:
    AdminTest();

    /// Runs the program with these arguments.
    Outcome run(std::vector<std::string> arguments, uid_t euid = 0) const;

    /// A target of segment "shelf" with the files "1" and "2" of 8192 bytes.
    std::unique_ptr<TargetProcess> startTarget();

    /// A subsystem, port and host as others make them.
    void makeForeignObjects();

    /// A connection of this transport with two paths, of which the second one is down.
    void makeConnection();

    /// From now on /proc, which is this machine's, shows none, as in another PID namespace.
    void seeNoProcesses();

    std::string lockOfAll() const { return roots_.nvmet() + "/hosts/mooncake-nvmeof-lock"; }
    TreeSnapshot snapshot() const { return takeSnapshot(roots_.nvmet()); }
    std::string file(const std::string& name) const { return files_.path() + "/" + name; }

    TempDir machine_, files_;
    Roots roots_;
    std::shared_ptr<FakeNvmet> nvmet_;
    TargetOptions options_;
};

inline constexpr char kConnectedNqn[] =
    "nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:0b5c1fd8-3c7e-4a86-9d0b-6f3f4f2f1a01";
inline constexpr char kForeignNqn[] = "nqn.2014-08.org:foreign";
inline constexpr char kForeignHost[] = "nqn.2014-08.org:foreign-host";

}  // namespace mooncake::nvmeof_generic::admin
