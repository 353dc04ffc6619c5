// SPDX-License-Identifier: Apache-2.0
// What every directory promises of clients and their leases, and of what they watch.
#include <gmock/gmock.h>

#include <memory>
#include <set>
#include <thread>

#include "directory_fixture.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using testing::ElementsAre;

TEST_P(DirectoryTest, IsTheSameStoreForAll) {
    const auto one = openDirectory(address()), other = openDirectory(address());
    EXPECT_FALSE(one->storeId().isNull());
    EXPECT_EQ(one->storeId(), other->storeId());
    EXPECT_NE(one->storeId(), openDirectory(makeBackend(GetParam())->address())->storeId());
    EXPECT_DONE(one->ping(soon()));
    EXPECT_GT(one->statistics().round_trips, 0u);
}

TEST_P(DirectoryTest, ClientsAreThereUntilTheyLeave) {
    Node one(address(), "a");
    const auto other = openDirectory(address());
    EXPECT_THAT(*other->clients(soon()), ElementsAre(ClientInfo{one.client, "a"}));
    EXPECT_EQ(one.directory->lease().client, one.client);
    EXPECT_TRUE(one.directory->lease().holds());
    EXPECT_FALSE(other->lease().holds());
    EXPECT_TRUE(infoOf(*other, one.file).mount);
    EXPECT_DONE(one.directory->leave(soon()));
    EXPECT_THAT(*other->clients(soon()), ElementsAre());
    EXPECT_FALSE(infoOf(*other, one.file).mount);
    EXPECT_FALSE(one.directory->lease().holds());
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kLeaseLost);
    const auto again = one.directory->join("a", soon());
    ASSERT_DONE(again);
    EXPECT_NE(*again, one.client);
}

TEST_P(DirectoryTest, ALeaseIsKeptAliveAndEndsWithItsClient) {
    const auto watcher = openDirectory(address());
    auto one = std::make_unique<Node>(address(), "a", shortLease());
    const auto begin = one->directory->lease().end;
    while (one->directory->lease().end == begin)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_THAT(*watcher->clients(soon()), ElementsAre(ClientInfo{one->client, "a"}));
    one.reset();
    EXPECT_THAT(*watcher->clients(soon()), ElementsAre()) << "it leaves with its end";
}

TEST_P(DirectoryTest, WatchesTellWhatChanges) {
    Node one(address(), "a");
    const auto other = openDirectory(address());
    auto watch = other->watch(soon());
    ASSERT_DONE(watch);
    const auto first = (*watch)->next(soon());
    ASSERT_DONE(first);
    EXPECT_TRUE(first->complete);
    ASSERT_EQ(first->files.size(), 1u);
    EXPECT_EQ(first->files[0], infoOf(*other, one.file));
    const auto none = (*watch)->next(in(std::chrono::milliseconds(1)));
    ASSERT_DONE(none);
    EXPECT_TRUE(none->empty());

    // Collects what comes until `done`.
    std::map<FileNumber, FileInfo> files;
    std::map<RegionId, Region> regions;
    const auto until = [&](auto done) {
        const Deadline end = soon();
        while (!done() && std::chrono::steady_clock::now() < end) {
            const auto changes = (*watch)->next(end);
            ASSERT_DONE(changes);
            EXPECT_FALSE(changes->complete);
            for (const auto& file : changes->files) files[file.number] = file;
            for (const auto& region : changes->regions) regions[region.id] = region;
        }
        EXPECT_TRUE(done());
    };
    const Region region = one.take();
    until([&] { return regions.count(region.id) == 1; });
    EXPECT_EQ(regions[region.id], region);
    EXPECT_DONE(one.directory->sealRegion(region.id, 1, {7, 8}, soon()));
    until([&] { return regions[region.id].state == RegionState::kSealed; });
    EXPECT_EQ(regions[region.id].use, (RegionUse{7, 8}));
    Node more(address(), "b");
    until([&] { return files.count(more.file) == 1 && files[more.file].mount; });
    EXPECT_EQ(files[more.file], infoOf(*other, more.file));
    EXPECT_DONE(more.directory->leave(soon()));
    until([&] { return !files[more.file].mount; });
    EXPECT_DONE(one.directory->giveUpFile(more.file, soon()));
    until([&] { return files[more.file].state == FileState::kGivenUp; });
}

TEST_P(DirectoryTest, ChecksItself) {
    const auto directory = openDirectory(address());
    const auto findings = directory->check(soon());
    ASSERT_DONE(findings);
    EXPECT_FALSE(findings->empty());
    for (const Finding& finding : *findings) {
        EXPECT_NE(finding.severity, Finding::Severity::kError) << finding.text;
    }
}

INSTANTIATE_TEST_SUITE_P(Sqlite, DirectoryTest, testing::Values("sqlite"));
#ifdef USE_ETCD
INSTANTIATE_TEST_SUITE_P(Etcd, DirectoryTest, testing::Values("etcd"));
#endif

}  // namespace
}  // namespace mooncake::store::test
