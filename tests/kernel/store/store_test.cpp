// SPDX-License-Identifier: Apache-2.0
// Two nodes of one store, processes of their own: objects go from one to the other over NVMe-oF.
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "child_process.h"
#include "cluster.h"
#include "file_pattern.h"
#include "kernel_state.h"
#include "mooncake_store/client.h"

namespace {

using namespace mooncake;
using test_support::ChildProcess;

constexpr size_t kMiB = 1 << 20;
constexpr size_t kRegion = 4 * kMiB;
constexpr size_t kFileSize = kMiB + 8 * kRegion;
constexpr int kLease = 200;  // seconds: longer than the test, however slow the machine

struct Object {
    std::string key;
    size_t size;

    uint64_t seed() const { return std::hash<std::string>()(key); }
};

std::vector<Object> objectsOf(const std::string& name) {
    std::vector<Object> objects;
    for (const size_t size : {size_t{1}, size_t{4096}, size_t{100000}, kMiB, 3 * kMiB + 5}) {
        objects.push_back({name + "-" + std::to_string(size), size});
    }
    return objects;
}

ErrorCode put(Client& client, const Object& object, const ReplicateConfig& config) {
    std::vector<char> bytes(object.size);
    test_support::fillPattern(object.seed(), 0, bytes.data(), bytes.size());
    std::vector<Slice> slices{{bytes.data(), bytes.size()}};
    const auto done = client.Put(object.key, slices, config);
    return done ? ErrorCode::OK : done.error();
}

// OK where the bytes are right.
ErrorCode get(Client& client, const Object& object) {
    std::vector<char> bytes(object.size);
    std::vector<Slice> slices{{bytes.data(), bytes.size()}};
    const auto done = client.Get(object.key, slices);
    if (!done) return done.error();
    const std::string difference =
        test_support::comparePattern(object.seed(), 0, bytes.data(), bytes.size());
    EXPECT_EQ(difference, "") << object.key;
    return difference.empty() ? ErrorCode::OK : ErrorCode::INTERNAL_ERROR;
}

class TwoNodes : public ::testing::TestWithParam<std::string> {
 protected:
    TwoNodes() {
        std::filesystem::create_directory(folder_);
        test_support::makeFile(firstFile(), kFileSize);
        test_support::makeFile(otherFile(), kFileSize);
    }
    std::string firstFile() const { return folder_ + "/first"; }
    std::string otherFile() const { return folder_ + "/other"; }

    // @param address  empty: a node without files
    std::shared_ptr<Client> join(const std::string& node, const std::string& address) const {
        ClientOptions options;
        options.local_hostname = "127.0.0.1:0";
        options.protocol_args = address;
        options.directory = directory();
        options.node = node;
        options.lease = std::chrono::seconds(kLease);
        auto client = Client::Create(options);
        EXPECT_TRUE(client) << Client::LastError();
        return client ? *client : nullptr;
    }

    // The other node, with its file. Sets its segment's name.
    void startOther() {
        other_ = std::make_unique<ChildProcess>(
            std::vector<std::string>{"store_node", directory(), targetAddress(GetParam(), 4421),
                                     otherFile()},
            std::vector<std::string>{"STORE_NODE_LEASE=" + std::to_string(kLease)});
        const std::string line = other_->waitForLine("ready: ", std::chrono::seconds(120));
        ASSERT_NE(line, "") << other_->output();
        other_segment_ = line.substr(7, line.find(' ', 7) - 7);
    }
    void endOther(int how, int status) {
        other_->signal(how);
        EXPECT_EQ(other_->wait(), status) << other_->output();
    }

    // As if the lease of the other node had ended.
    void endLeaseOfOther() const {
        sqlite3* database = nullptr;
        ASSERT_EQ(sqlite3_open(databasePath().c_str(), &database), SQLITE_OK);
        sqlite3_busy_timeout(database, 60000);
        const char statement[] =
            "DELETE FROM client WHERE CAST(node AS TEXT) NOT IN ('first', 'reader')";
        EXPECT_EQ(sqlite3_exec(database, statement, nullptr, nullptr, nullptr), SQLITE_OK);
        EXPECT_EQ(sqlite3_changes(database), 1);
        sqlite3_close(database);
    }

    // Every copy's bytes, as the files have them past the page cache.
    void expectInFiles(Client& client, const Object& object, size_t copies) const {
        const auto found = client.Query(object.key);
        ASSERT_TRUE(found) << object.key << ": " << found.error();
        ASSERT_EQ(found->replicas.size(), copies) << object.key;
        EXPECT_TRUE(copies == 1 || found->replicas[0].segment != found->replicas[1].segment);
        for (const Replica::Descriptor& copy : found->replicas) {
            const std::string path = copy.segment == other_segment_ ? otherFile() : firstFile();
            uint64_t at = 0;
            for (const Replica::Extent& extent : copy.extents) {
                const auto bytes = test_support::readDirect(
                    path, kMiB + extent.region * kRegion + extent.offset, extent.length);
                EXPECT_EQ(
                    test_support::comparePattern(object.seed(), at, bytes.data(), extent.length),
                    "")
                    << object.key << " in " << path;
                at += extent.length;
            }
            EXPECT_EQ(at, object.size);
        }
    }

    const std::string folder_ = testFolder() + "/" + GetParam();
    std::string databasePath() const { return folder_ + "/store.db"; }
    std::string directory() const { return "sqlite://" + databasePath(); }
    std::unique_ptr<ChildProcess> other_;
    std::string other_segment_;
};

TEST_P(TwoNodes, ObjectsGoOverTheNetworkAndOutliveANode) {
    const std::string first_address = targetAddress(GetParam(), 4420);
    const auto nvmet_before = nvmetObjects();
    const auto first = join("first", first_address);
    ASSERT_TRUE(first);
    ASSERT_TRUE(first->MountFileSegment(firstFile())) << Client::LastError();
    ASSERT_NO_FATAL_FAILURE(startOther());
    const auto reader = join("reader", "");
    ASSERT_TRUE(reader);

    const auto here = objectsOf("here"), there = objectsOf("there"), both = objectsOf("both");
    ReplicateConfig config;
    for (const Object& object : here) {
        config.preferred_segment = first->GetTransportEndpoint();
        ASSERT_EQ(put(*first, object, config), ErrorCode::OK) << object.key;
    }
    for (const Object& object : there) {
        config.preferred_segment = other_segment_;
        ASSERT_EQ(put(*first, object, config), ErrorCode::OK) << object.key;
    }
    config = {};
    config.replica_num = 2;
    for (const Object& object : both) {
        ASSERT_EQ(put(*first, object, config), ErrorCode::OK) << object.key;
    }
    for (const auto& [objects, copies] :
         {std::pair(here, size_t{1}), {there, size_t{1}}, {both, size_t{2}}}) {
        for (const Object& object : objects) {
            expectInFiles(*first, object, copies);
            EXPECT_EQ(get(*first, object), ErrorCode::OK) << object.key;
            EXPECT_EQ(get(*reader, object), ErrorCode::OK) << object.key;
        }
    }
    EXPECT_EQ(reader->Query(there.front().key)->replicas.front().segment, other_segment_);
    // It was no process that answered.
    const auto controllers = nvmeControllers();
    EXPECT_GE(controllers.size(), 2U);
    for (const std::string& controller : controllers) {
        std::string transport;
        std::ifstream("/sys/class/nvme/" + controller + "/transport") >> transport;
        EXPECT_EQ(transport, GetParam()) << controller;
    }

    // The kernel serves its file on; the node counts as gone when its lease has ended.
    endOther(SIGKILL, 128 + SIGKILL);
    ASSERT_NO_FATAL_FAILURE(endLeaseOfOther());
    for (const auto& client : {first, reader}) {
        for (const auto& objects : {here, both}) {
            for (const Object& object : objects) {
                EXPECT_EQ(get(*client, object), ErrorCode::OK) << object.key;
            }
        }
        for (const Object& object : there) {
            EXPECT_TRUE(eventually([&] {
                return get(*client, object) == ErrorCode::OBJECT_NOT_FOUND;
            })) << object.key;
        }
        EXPECT_FALSE(client->IsExist(there.front().key).value());
        EXPECT_TRUE(client->IsExist(both.front().key).value());
    }
    // As many copies as there are nodes.
    const Object meanwhile{"meanwhile", 2 * kMiB};
    EXPECT_EQ(put(*first, meanwhile, config), ErrorCode::OK) << Client::LastError();
    expectInFiles(*first, meanwhile, 1);

    // It comes back with what it had.
    ASSERT_NO_FATAL_FAILURE(startOther());
    for (const auto& client : {first, reader}) {
        for (const Object& object : there) {
            EXPECT_TRUE(eventually([&] { return get(*client, object) == ErrorCode::OK; }))
                << object.key << " " << get(*client, object);
        }
        for (const Object& object : both) {
            EXPECT_EQ(get(*client, object), ErrorCode::OK) << object.key;
        }
    }
    EXPECT_EQ(get(*reader, meanwhile), ErrorCode::OK);
    const Object after{"after", kMiB};
    EXPECT_EQ(put(*first, after, config), ErrorCode::OK) << Client::LastError();
    expectInFiles(*first, after, 2);

    EXPECT_EQ(first->Statistics().checksum_failures + reader->Statistics().checksum_failures, 0U);
    endOther(SIGTERM, 0);
    EXPECT_TRUE(reader->Close());
    EXPECT_TRUE(first->Close());
    EXPECT_EQ(nvmetObjects(), nvmet_before);
}

INSTANTIATE_TEST_SUITE_P(Transports, TwoNodes, ::testing::Values("tcp", "rdma"),
                         [](const auto& one) { return one.param; });

}  // namespace
