// SPDX-License-Identifier: Apache-2.0
#include "backends.h"

#include <stdlib.h>

#include <filesystem>

#include "entries.h"
#ifdef USE_ETCD
#include "store_server.h"
#endif

namespace mooncake::store::test {

namespace {

class SqliteBackend : public Backend {
 public:
    SqliteBackend() {
        std::string pattern = testing::TempDir() + "directory_XXXXXX";
        EXPECT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    ~SqliteBackend() override { std::filesystem::remove_all(folder_); }
    std::string address() const override { return "sqlite://" + folder_ + "/store.db"; }

 private:
    std::string folder_;
};

#ifdef USE_ETCD
// One server for the whole program, and in it a store for each test: starting one takes a second.
class EtcdBackend : public Backend {
 public:
    EtcdBackend() {
        if (!server_) {
            server_ = std::make_unique<mooncake::test::EtcdServer>();
            server_->start();
        }
        ++stores_;
    }
    std::string address() const override {
        return server_->connString() + "/test" + std::to_string(stores_);
    }

 private:
    static std::unique_ptr<mooncake::test::EtcdServer> server_;
    static int stores_;
};
std::unique_ptr<mooncake::test::EtcdServer> EtcdBackend::server_;
int EtcdBackend::stores_ = 0;
#endif

}  // namespace

std::unique_ptr<Backend> makeBackend(const std::string& kind) {
    if (kind == "sqlite") return std::make_unique<SqliteBackend>();
#ifdef USE_ETCD
    return std::make_unique<EtcdBackend>();
#else
    return nullptr;
#endif
}

Deadline in(std::chrono::milliseconds time) {
    return std::chrono::steady_clock::now() + time;
}

Deadline soon() {
    return in(std::chrono::seconds(60));
}

DirectoryOptions shortLease() {
    DirectoryOptions options;
    options.lease = std::chrono::seconds(2);
    return options;
}

DirectoryOptions longLease() {
    DirectoryOptions options;
    options.lease = std::chrono::seconds(100);
    return options;
}

std::unique_ptr<Directory> openDirectory(const std::string& address,
                                         const DirectoryOptions& options) {
    auto directory = Directory::open(address, options, soon());
    EXPECT_TRUE(directory) << directory.error().message;
    return directory ? std::move(*directory) : nullptr;
}

FileDescription describeFile() {
    FileDescription description;
    description.uuid = Uuid::random();
    description.regions = 32;
    description.region_size = 4 << 20;
    description.size = (128 << 20) + 4096;
    return description;
}

Node::Node(const std::string& address, const std::string& name, const DirectoryOptions& options)
    : directory(openDirectory(address, options)) {
    const auto joined = directory->join(name, soon());
    EXPECT_DONE(joined);
    client = *joined;
    const auto added = directory->addFile(describeFile(), soon());
    EXPECT_DONE(added);
    file = added->number;
    EXPECT_DONE(directory->mountFile(file, {0, name, name + ":12345", 1, "/dev/x"}, soon()));
}

Region Node::take() {
    const auto region = directory->takeRegion(file, soon());
    EXPECT_TRUE(region) << region.error().message;
    return region ? *region : Region();
}

ChangeOutcome Node::put(const std::string& key, const ObjectEntry& entry, Change::When when,
                        const ObjectEntry& before) {
    const auto outcomes = directory->commit({{key, entry, when, before}}, soon());
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? outcomes->at(0) : ChangeOutcome::kRegionLost;
}

std::optional<ObjectEntry> Node::get(const std::string& key) {
    const auto entries = directory->lookup({key}, soon());
    EXPECT_TRUE(entries) << entries.error().message;
    return entries ? entries->at(0) : std::nullopt;
}

ObjectEntry entryIn(const Region& region, uint64_t offset, uint64_t size) {
    return makeEntry(region.id.file, region.id.index, region.generation, offset, size);
}

ObjectEntry entryInMany(Node& node, size_t regions) {
    ObjectEntry entry = makeEntry();
    entry.size = 0;
    entry.replicas = {{}};
    FileNumber file = 0;
    while (entry.replicas[0].size() < regions) {
        if (entry.replicas[0].size() % describeFile().regions == 0) {
            const auto added = node.directory->addFile(describeFile(), soon());
            EXPECT_DONE(added);
            file = added->number;
        }
        const auto taken = node.directory->takeRegion(file, soon());
        EXPECT_DONE(taken);
        entry.replicas[0].push_back(
            makeExtent(taken->id.file, taken->id.index, taken->generation, 0, 4096));
        entry.size += 4096;
    }
    return entry;
}

}  // namespace mooncake::store::test
