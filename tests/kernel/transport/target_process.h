// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "child_process.h"
#include "cluster.h"

/// The bench as a target in a process of its own, "target".
class TargetProcess : public test_support::ChildProcess {
 public:
    TargetProcess(const MetadataServer& metadata, const std::string& files, const std::string& port)
        : ChildProcess({"transfer_engine_nvmeof_generic_bench", "--mode=target",
                        "--local_server_name=target", "--metadata_server=" + metadata.url(),
                        "--trsvcid=" + port, "--files=" + files}) {}
    bool ready() {
        const bool is = !waitForLine("target ready").empty();
        EXPECT_TRUE(is) << output();
        return is;
    }
};
