// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "error_of.h"
#include "fake_nvmet.h"
#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/target/target.h"
#include "tree_snapshot.h"

namespace mooncake::nvmeof_generic {

inline const TransportAddress kLoopback{"tcp", "ipv4", "127.0.0.1", "4420"};

/// A fake nvmet, a folder for files, and the start of targets on them.
class TargetTest : public testing::Test {
 protected:
    TargetTest() {
        options_.nvmetRoot = nvmetDir_.path();
        options_.devRoot = devDir_.path();  // empty: this machine's loop devices stay out of it
        options_.lookInterval = std::chrono::hours(1);  // steps are counted
    }

    Result<std::unique_ptr<Target>> tryStart(const TransportAddress& address = kLoopback) {
        return Target::start(address, options_, nvmet_);
    }
    std::unique_ptr<Target> start(const TransportAddress& address = kLoopback) {
        auto started = tryStart(address);
        if (started.ok()) return started.take();
        ADD_FAILURE() << started.error().message;
        return nullptr;
    }
    TreeSnapshot snapshot() const { return takeSnapshot(nvmetDir_.path()); }

    TempDir nvmetDir_, devDir_, files_;
    std::shared_ptr<FakeNvmet> nvmet_ = std::make_shared<FakeNvmet>(nvmetDir_.path());
    TargetOptions options_;
};

}  // namespace mooncake::nvmeof_generic
