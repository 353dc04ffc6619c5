// SPDX-License-Identifier: Apache-2.0
// The directories that the suite runs on, each fresh for one test, with its real server.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "directory.h"

namespace mooncake::store::test {

class Backend {
 public:
    virtual ~Backend() = default;
    // What Directory::open() takes.
    virtual std::string address() const = 0;
};

// @param kind  "sqlite" or "etcd"
std::unique_ptr<Backend> makeBackend(const std::string& kind);

// Long enough for a loaded machine.
Deadline soon();
Deadline in(std::chrono::milliseconds time);

// Leases that end soon.
DirectoryOptions shortLease();
// Leases that do not end in a test, however slow the machine.
DirectoryOptions longLease();

std::unique_ptr<Directory> openDirectory(const std::string& address,
                                         const DirectoryOptions& options = longLease());

// A file of 32 regions of 4 MiB.
FileDescription describeFile();

// Joined, with a file that it mounts.
struct Node {
    explicit Node(const std::string& address, const std::string& name = "node",
                  const DirectoryOptions& options = longLease());

    std::unique_ptr<Directory> directory;
    ClientId client = 0;
    FileNumber file = 0;

    // Takes a region of its file.
    Region take();
    ChangeOutcome put(const std::string& key, const ObjectEntry& entry,
                      Change::When when = Change::When::kAbsent, const ObjectEntry& before = {});
    std::optional<ObjectEntry> get(const std::string& key);
};

// An object of `size` bytes at `offset` of the region.
ObjectEntry entryIn(const Region& region, uint64_t offset = 0, uint64_t size = 4096);

// An object in so many regions, which the node takes in files that nobody mounts.
ObjectEntry entryInMany(Node& node, size_t regions);

template <class Outcome>
testing::AssertionResult isDone(const Outcome& result) {
    if (result.has_value()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << result.error().message;
}
// It failed, for that reason.
template <class Outcome>
testing::AssertionResult isFailed(const Outcome& result, Failure reason) {
    if (result.has_value()) return testing::AssertionFailure() << "it was done";
    if (result.error().failure == reason) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << toString(result.error().failure) << ": " << result.error().message;
}
#define ASSERT_DONE(result) ASSERT_TRUE(isDone(result))
#define EXPECT_DONE(result) EXPECT_TRUE(isDone(result))
#define EXPECT_FAILS(result, reason) EXPECT_TRUE(isFailed(result, reason))

}  // namespace mooncake::store::test
