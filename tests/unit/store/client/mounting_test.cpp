// SPDX-License-Identifier: Apache-2.0
// Which files are mounted, and what becomes of their objects.
#include <xxhash.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "directory.h"
#include "nodes.h"
#include "superblock.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;

class MountingTest : public StoreTest {
 protected:
    // The directory, looked into past the clients.
    std::unique_ptr<store::Directory> look() const {
        auto opened = store::Directory::open(directory, {}, limit());
        EXPECT_TRUE(opened);
        return opened ? std::move(*opened) : nullptr;
    }
    static store::Deadline limit() { return std::chrono::steady_clock::now() + kForever; }
    size_t entries() const { return look()->list("", "", 10000, limit())->objects.size(); }
};

TEST_F(MountingTest, ANodeThatIsBackBringsItsObjects) {
    const auto other = node("other");
    {
        const auto one = nodeWithFile("one", 8);
        for (int i = 0; i < 10; ++i) {
            ASSERT_EQ(put(*one, "key" + std::to_string(i), 300000), ErrorCode::OK);
        }
        ASSERT_TRUE(knowsFiles(*other, 1));
        EXPECT_EQ(get(*other, "key1", 300000), ErrorCode::OK);
    }
    ASSERT_TRUE(knowsFiles(*other, 0));
    EXPECT_FALSE(exists(*other, "key1"));
    EXPECT_EQ(get(*other, "key1", 300000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(other->Statistics().misses_unreachable, 1u);
    // The put finds the key, and leaves it alone.
    EXPECT_EQ(put(*other, "key1", 300000), ErrorCode::OK);

    const auto back = node("another name");
    ASSERT_EQ(mount(*back, fileOf("one")), ErrorCode::OK) << Client::LastError();
    ASSERT_TRUE(knowsFiles(*other, 1));
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(get(*back, "key" + std::to_string(i), 300000), ErrorCode::OK);
        EXPECT_EQ(get(*other, "key" + std::to_string(i), 300000), ErrorCode::OK);
    }
    EXPECT_TRUE(exists(*other, "key1"));
}

TEST_F(MountingTest, AFileIsUnmountedAndMountedAgain) {
    const auto one = nodeWithFile("one", 8);
    const auto other = node("other");
    ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    EXPECT_EQ(one->UnmountFileSegment(fileOf("no")).error(), ErrorCode::INVALID_PARAMS);
    EXPECT_TRUE(one->UnmountFileSegment(fileOf("one")));
    EXPECT_EQ(one->UnmountFileSegment(fileOf("one")).error(), ErrorCode::INVALID_PARAMS);
    // What it was filling is another's to evict.
    const auto regions = look()->regions(1, limit());
    ASSERT_TRUE(regions && regions->size() == 1);
    EXPECT_EQ(regions->front().state, store::RegionState::kSealed);
    EXPECT_EQ(regions->front().use, (store::RegionUse{300000, 1}));
    EXPECT_FALSE(exists(*one, "key"));
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(put(*one, "new", 300000), ErrorCode::NO_AVAILABLE_HANDLE);
    // Another node may take it at once.
    EXPECT_EQ(mount(*other, fileOf("one")), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*other, "key", 300000), ErrorCode::OK);
    ASSERT_TRUE(knowsFiles(*one, 1));
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OK);
    EXPECT_EQ(put(*one, "new", 300000), ErrorCode::OK);
}

TEST_F(MountingTest, AFileIsMountedOnce) {
    const auto one = nodeWithFile("one", 8);
    const auto two = node("two");
    EXPECT_EQ(mount(*one, fileOf("one")), ErrorCode::INVALID_PARAMS);
    EXPECT_THAT(Client::LastError(), HasSubstr("mounted by this client already"));
    EXPECT_EQ(mount(*two, fileOf("one")), ErrorCode::SEGMENT_ALREADY_EXISTS);
    EXPECT_THAT(Client::LastError(), HasSubstr("mounted by another client"));
    // Under another name, too.
    std::filesystem::create_symlink(fileOf("one"), fileOf("link"));
    EXPECT_EQ(mount(*two, fileOf("link"), true), ErrorCode::SEGMENT_ALREADY_EXISTS);
    ASSERT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    EXPECT_EQ(get(*one, "key", 5000), ErrorCode::OK);
}

// The lock of a machine is none between machines: the directory says whose it is.
TEST_F(MountingTest, ACopyOfAFileIsNotMountedBesideIt) {
    const auto one = nodeWithFile("one", 8);
    ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    const auto two = join(shortLived(nodeOptions(directory, "two")));
    std::filesystem::copy_file(fileOf("one"), fileOf("copy"));
    EXPECT_EQ(mount(*two, fileOf("copy")), ErrorCode::SEGMENT_ALREADY_EXISTS);
    EXPECT_THAT(Client::LastError(), HasSubstr("node 'one'"));
    EXPECT_EQ(get(*two, "key", 300000), ErrorCode::OK);
    EXPECT_EQ(one->Query("key")->replicas.at(0).segment, one->GetTransportEndpoint());
    // Its node is gone: now it is the file.
    EXPECT_TRUE(one->Close());
    EXPECT_EQ(mount(*two, fileOf("copy")), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*two, "key", 300000), ErrorCode::OK);
}

// Who served it here is gone, since it is locked no more: it is waited for, however long it counts
// as a client.
TEST_F(MountingTest, WhoWasKilledHereIsWaitedFor) {
    {
        const auto one = nodeWithFile("one", 8);
        ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    }
    store::DirectoryOptions long_lived;
    long_lived.lease = std::chrono::seconds(100);
    const auto ghost = store::Directory::open(directory, long_lived, limit());
    ASSERT_TRUE(ghost && (*ghost)->join("one", limit()));
    ASSERT_TRUE((*ghost)->mountFile(1, {0, "one", "127.0.0.1:1", 1, fileOf("one")}, limit()));
    ClientOptions options = nodeOptions(directory, "one");
    options.lease = std::chrono::seconds(2);
    const auto one = join(options);
    auto mounting = std::async(std::launch::async, [&] { return mount(*one, fileOf("one")); });
    EXPECT_EQ(mounting.wait_for(2 * options.lease), std::future_status::timeout);
    ASSERT_TRUE((*ghost)->leave(limit()));
    EXPECT_EQ(mounting.get(), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OK);
}

TEST_F(MountingTest, WhatIsNoFileIsRefused) {
    const auto one = node();
    EXPECT_EQ(mount(*one, fileOf("no such file")), ErrorCode::INVALID_PARAMS);
    EXPECT_EQ(mount(*one, folder.path()), ErrorCode::INVALID_PARAMS);
    EXPECT_EQ(mount(*one, folder.file("small", 9 * kMiB - 4096)), ErrorCode::INVALID_PARAMS);
    EXPECT_EQ(mount(*one, folder.file("large enough", 9 * kMiB)), ErrorCode::OK);
}

// Nothing is written to a file that holds something else, unless that is what was asked for.
TEST_F(MountingTest, AFileThatHoldsSomethingElseIsRefused) {
    const auto one = node();
    const std::string path = folder.file("swap", 33 * kMiB);
    {
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(1024);
        file.write("\1\0\0\0\xff\x1f\0\0", 8);
        file.seekp(4096 - 10);
        file.write("SWAPSPACE2", 10);
    }
    const std::string before = contents(path, 0, kMiB);
    EXPECT_EQ(mount(*one, path), ErrorCode::INVALID_PARAMS);
    EXPECT_THAT(Client::LastError(), HasSubstr("swap"));
    EXPECT_THAT(Client::LastError(), HasSubstr("option to overwrite"));
    EXPECT_TRUE(contents(path, 0, kMiB) == before);
    EXPECT_EQ(mount(*one, path, true), ErrorCode::OK);
    EXPECT_EQ(put(*one, "key", 5000), ErrorCode::OK);

    const std::string text = folder.file("text", 33 * kMiB);
    std::fstream(text, std::ios::binary | std::ios::in | std::ios::out) << "do not lose this";
    EXPECT_EQ(mount(*one, text), ErrorCode::INVALID_PARAMS);
    EXPECT_THAT(Client::LastError(), HasSubstr("is not zero"));
    EXPECT_EQ(contents(text, 0, 16), "do not lose this");
}

TEST_F(MountingTest, AFileOfAnotherStoreIsRefused) {
    {
        const auto one = nodeWithFile("one", 8);
        ASSERT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    }
    const auto other = join(nodeOptions(folder.path() + "/other.db", "other"));
    EXPECT_EQ(mount(*other, fileOf("one")), ErrorCode::SEGMENT_ALREADY_EXISTS);
    EXPECT_THAT(Client::LastError(), HasSubstr("belongs to the store"));
    const auto back = node();
    EXPECT_EQ(mount(*back, fileOf("one")), ErrorCode::OK);
    EXPECT_EQ(get(*back, "key", 5000), ErrorCode::OK);
}

TEST_F(MountingTest, ADamagedSuperblockIsRestoredFromItsCopy) {
    {
        const auto one = nodeWithFile("one", 8);
        ASSERT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    }
    const std::string whole = contents(fileOf("one"), 0, 4096);
    flip(fileOf("one"), 100);
    {
        const auto one = node();
        ASSERT_EQ(mount(*one, fileOf("one")), ErrorCode::OK) << Client::LastError();
        EXPECT_EQ(get(*one, "key", 5000), ErrorCode::OK);
    }
    EXPECT_TRUE(contents(fileOf("one"), 0, 4096) == whole);
    flip(fileOf("one"), 100);
    flip(fileOf("one"), store::kSuperblockCopyAt + 100);
    const auto one = node();
    EXPECT_EQ(mount(*one, fileOf("one")), ErrorCode::FILE_READ_FAIL);
    EXPECT_THAT(Client::LastError(), HasSubstr("damaged"));
}

TEST_F(MountingTest, AFileOfAnotherVersionIsRefused) {
    { const auto one = nodeWithFile("one", 8); }
    // As a later version would write it: the check is right.
    std::string block = contents(fileOf("one"), 0, store::kBlockBytes);
    block[24] = 7;
    const XXH128_hash_t hash = XXH3_128bits(block.data() + 16, block.size() - 16);
    std::memcpy(block.data(), &hash, sizeof(hash));
    {
        std::fstream file(fileOf("one"), std::ios::binary | std::ios::in | std::ios::out);
        for (const uint64_t at : {uint64_t{0}, store::kSuperblockCopyAt}) {
            file.seekp(static_cast<std::streamoff>(at)) << block;
        }
    }
    const auto one = node();
    EXPECT_EQ(mount(*one, fileOf("one")), ErrorCode::INVALID_VERSION);
    EXPECT_THAT(Client::LastError(), HasSubstr("version 7"));
    EXPECT_TRUE(contents(fileOf("one"), 0, store::kBlockBytes) == block);
    EXPECT_EQ(mount(*one, fileOf("one"), true), ErrorCode::OK);
}

TEST_F(MountingTest, ObjectsOfAScratchFileGoWithIt) {
    const auto other = node("other");
    std::string path;
    {
        const auto one = node();
        path = one->MountScratchFile(folder.path(), 33 * kMiB).value();
        for (int i = 0; i < 30; ++i) {
            ASSERT_EQ(put(*one, "key" + std::to_string(i), 400000), ErrorCode::OK);
        }
        ASSERT_TRUE(knowsFiles(*other, 1));
        EXPECT_EQ(get(*other, "key1", 400000), ErrorCode::OK);
        EXPECT_EQ(entries(), 30u);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_EQ(entries(), 0u);
    const auto files = look()->files(limit());
    for (const auto& file : *files) EXPECT_EQ(file.state, store::FileState::kGivenUp);
    EXPECT_EQ(get(*other, "key1", 400000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_FALSE(other->MountScratchFile(folder.path() + "/no", 33 * kMiB));
    EXPECT_FALSE(other->MountScratchFile(folder.path(), 1));
    // What a process that was killed has left goes, what one uses stays.
    const std::string used = other->MountScratchFile(folder.path(), 33 * kMiB).value();
    const std::string left = folder.file("mooncake-scratch-123456", kMiB);
    const std::string mine = folder.file("mine", kMiB);
    EXPECT_TRUE(node("three")->MountScratchFile(folder.path(), 33 * kMiB));
    EXPECT_FALSE(std::filesystem::exists(left));
    EXPECT_TRUE(std::filesystem::exists(used));
    EXPECT_TRUE(std::filesystem::exists(mine));
}

// Whoever removes what was left behind takes none that another one has just made.
TEST_F(MountingTest, ManyMakeScratchFilesAtOnce) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            const auto one = node("node" + std::to_string(t));
            for (int i = 0; i < 10; ++i) {
                const auto path = one->MountScratchFile(folder.path(), 9 * kMiB);
                ASSERT_TRUE(path) << Client::LastError();
                EXPECT_TRUE(std::filesystem::exists(*path));
                ASSERT_TRUE(one->UnmountFileSegment(*path)) << Client::LastError();
            }
        });
    }
    for (auto& thread : threads) thread.join();
}

TEST_F(MountingTest, AnObjectOfAFileThatWasGivenUpIsReplaced) {
    const auto two = nodeWithFile("two", 8);
    {
        const auto one = nodeWithFile("one", 8);
        ReplicateConfig config;
        config.preferred_segment = "one";
        ASSERT_EQ(put(*one, "key", 5000, config), ErrorCode::OK);
    }
    ASSERT_TRUE(knowsFiles(*two, 1));
    const auto files = look()->files(limit());
    for (const auto& file : *files) {
        if (!file.mount) {
            ASSERT_TRUE(look()->giveUpFile(file.number, limit()));
        }
    }
    ASSERT_TRUE(eventually([&] {
        put(*two, "key", 5000);
        return get(*two, "key", 5000) == ErrorCode::OK;
    }));
    EXPECT_EQ(two->Query("key")->replicas.at(0).segment, two->GetTransportEndpoint());
    // The file comes back as a new one.
    const auto one = node("one");
    EXPECT_EQ(mount(*one, fileOf("one")), ErrorCode::OK);
    EXPECT_EQ(get(*one, "key", 5000), ErrorCode::OK);
}

}  // namespace
}  // namespace mooncake::test
