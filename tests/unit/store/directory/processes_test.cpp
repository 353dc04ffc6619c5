// SPDX-License-Identifier: Apache-2.0
// Clients in processes of their own that are killed, or stopped past their lease.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <thread>

#include "backends.h"
#include "child_process.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using test_support::ChildProcess;

class ProcessesTest : public testing::TestWithParam<const char*> {
 protected:
    ProcessesTest() : backend(makeBackend(GetParam())) {}

    std::unique_ptr<ChildProcess> startClient(const std::string& prefix, int keys) const {
        return std::make_unique<ChildProcess>(std::vector<std::string>{
            DIRECTORY_CLIENT_PROGRAM, backend->address(), "2000", prefix, std::to_string(keys)});
    }

    const std::unique_ptr<Backend> backend;
};

// What the child's first line says.
Region regionOf(ChildProcess& child) {
    const std::string line = child.waitForLine("region ");
    Region region;
    unsigned long long client = 0;
    EXPECT_EQ(
        std::sscanf(line.c_str(), "region %u %u %llu", &region.id.file, &region.id.index, &client),
        3)
        << child.output();
    region.owner = client;
    region.generation = 1;
    return region;
}

// The greatest number that the child says it has put, -1 for none.
int lastPut(const ChildProcess& child) {
    const size_t at = child.output().rfind("put ");
    return at == std::string::npos ? -1 : std::atoi(child.output().c_str() + at + 4);
}

void waitUntilGone(Directory& directory, ClientId client) {
    for (;;) {
        const auto clients = directory.clients(soon());
        ASSERT_DONE(clients);
        if (std::none_of(clients->begin(), clients->end(),
                         [&](const ClientInfo& one) { return one.id == client; })) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

// SIGKILL wherever it happens to be: what it said is there, and the next one is there as a whole or
// not at all.
TEST_P(ProcessesTest, AClientThatIsKilledLeavesWholeEntries) {
    Node survivor(backend->address(), "survivor");
    for (int round = 0; round < 5; ++round) {
        const std::string prefix = std::to_string(round) + "/";
        const auto child = startClient(prefix, 100000);
        const Region region = regionOf(*child);
        ASSERT_NE(child->waitForLine("put " + std::to_string(10 + 7 * round)), "");
        child->signal(SIGKILL);
        child->wait();
        child->waitForLine("no such line", std::chrono::seconds(5));
        const int last = lastPut(*child);
        std::vector<std::string> keys;
        for (int i = 0; i <= last + 2; ++i) keys.push_back(prefix + std::to_string(i));
        const auto entries = survivor.directory->lookup(keys, soon());
        ASSERT_DONE(entries);
        for (int i = 0; i <= last + 2; ++i) {
            if (i != last + 1) {
                EXPECT_EQ(entries->at(i).has_value(), i <= last) << i;
            }
            if (entries->at(i)) {
                EXPECT_EQ(*entries->at(i), entryIn(region, uint64_t(i) * 4096, 4096));
            }
        }
        // Its region is another's after its lease, and not before.
        EXPECT_FAILS(survivor.directory->sealRegion(region.id, 1, {}, soon()), Failure::kConflict);
        waitUntilGone(*survivor.directory, region.owner);
        EXPECT_DONE(survivor.directory->sealRegion(region.id, 1, {}, soon()));
        EXPECT_DONE(survivor.directory->beginClean(region.id, 1, soon()));
        EXPECT_DONE(survivor.directory->dropOlder(keys, region.id, 2, soon()));
        EXPECT_DONE(survivor.directory->endClean(region.id, 2, soon()));
        EXPECT_THAT(*survivor.directory->exists(keys, nullptr, soon()), testing::Each(false));
        const auto files = survivor.directory->files(soon());
        ASSERT_DONE(files);
        for (const FileInfo& file : *files) {
            EXPECT_EQ(file.mount.has_value(), file.number == survivor.file) << file.number;
        }
    }
}

// It goes on while its region is another's: none of its entries gets in.
TEST_P(ProcessesTest, AClientThatWasStoppedPastItsLeaseWritesNoMore) {
    Node survivor(backend->address(), "survivor");
    const auto child = startClient("child/", 1000000);
    const Region region = regionOf(*child);
    ASSERT_NE(child->waitForLine("put 20"), "");
    child->pause();
    // In SQLite it may hold the lock that all need; then it is stopped somewhere else.
    while (!survivor.directory->touch({}, in(std::chrono::seconds(2)))) {
        child->signal(SIGCONT);
        child->pause();
    }
    waitUntilGone(*survivor.directory, region.owner);
    ASSERT_DONE(survivor.directory->sealRegion(region.id, 1, {}, soon()));
    ASSERT_DONE(survivor.directory->beginClean(region.id, 1, soon()));
    ASSERT_DONE(survivor.directory->removeMatching(
        "child/", [](std::string_view, const ObjectEntry&) { return true; }, soon()));
    ASSERT_DONE(survivor.directory->endClean(region.id, 2, soon()));
    const auto mine = survivor.directory->takeRegion(region.id.file, soon());
    ASSERT_DONE(mine);
    EXPECT_EQ(mine->id, region.id);
    EXPECT_EQ(mine->generation, 2u);
    EXPECT_EQ(survivor.put("mine", entryIn(*mine)), ChangeOutcome::kDone);

    child->signal(SIGCONT);
    EXPECT_NE(child->waitForLine("lost "), "") << child->output();
    EXPECT_EQ(child->wait(), 0);
    const auto page = survivor.directory->list("", "", 1000, soon());
    ASSERT_DONE(page);
    ASSERT_EQ(page->objects.size(), 1u);
    EXPECT_EQ(page->objects[0].first, "mine");
    EXPECT_EQ(survivor.get("mine"), entryIn(*mine));
}

INSTANTIATE_TEST_SUITE_P(Sqlite, ProcessesTest, testing::Values("sqlite"));
#ifdef USE_ETCD
INSTANTIATE_TEST_SUITE_P(Etcd, ProcessesTest, testing::Values("etcd"));
#endif

}  // namespace
}  // namespace mooncake::store::test
