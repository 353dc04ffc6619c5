// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster.h"
#include "hosts.h"
#include "load.h"

/// A variable of the environment while the object exists.
class Variable {
 public:
    Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~Variable() { unsetenv(name_); }

 private:
    const char* name_;
};

/// A metadata server that every host reaches, and hosts with targets.
class FaultTest : public ::testing::Test {
 protected:
    void SetUp() override;
    void TearDown() override;

    /// One host for all tests that ask for this number: 1, 2, ... Those above kOneLink have two
    /// links for data, and a target there has both addresses.
    static constexpr int kOneLink = 10;
    static Host& host(int number);
    static std::map<int, std::unique_ptr<Host>>& hosts();
    /// A target with new files of kFileBytes, called `name`.
    TargetNode& target(int hostNumber, const std::string& name, int files = 1);
    std::string makeTestFile(const std::string& name);
    /// Ends a target before the test does.
    void drop(TargetNode& target);

    /// The initiator of these tests, on this host.
    Node& initiator();
    /// Load on it. Checks in the end that every request ended and nothing wrong was read.
    Load& load();
    void add(TargetNode& target, int retries = 0);
    void endLoad();
    /// Ends load and initiator.
    void endInitiator();

    /// Prints what a caller saw since the last call.
    Load::Report print(const std::string& event, const std::string& segment = "");

    static constexpr uint64_t kFileBytes = 4 << 20;
    std::unique_ptr<MetadataServer> metadata;
    uint64_t seed = 1;

 private:
    std::vector<std::unique_ptr<TargetNode>> targets_;
    std::unique_ptr<Node> initiator_;
    std::unique_ptr<Load> load_;
    std::set<std::string> controllers_, objects_;
    std::vector<std::string> files_;
};
