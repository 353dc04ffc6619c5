// SPDX-License-Identifier: Apache-2.0
#include "transfer_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <latch>
#include <memory>
#include <thread>

#include "memory_storage.h"
#include "metadata_codec.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Result = MetadataStorage::Result;
using Outcome = MetadataStorage::Outcome;
using SegmentDesc = TransferMetadata::SegmentDesc;

constexpr char kLocal[] = "mooncake/ram/local";
constexpr char kRemote[] = "mooncake/ram/remote";

std::string remoteText(const std::string& timestamp) {
    return R"({"name":"remote","protocol":"p","timestamp":")" + timestamp + "\"}";
}

class TransferMetadataTest : public ::testing::Test {
 protected:
    void addLocal() {
        auto desc = std::make_shared<SegmentDesc>();
        desc->name = "local";
        desc->protocol = "p";
        ASSERT_EQ(metadata_.addLocalSegment(LOCAL_SEGMENT_ID, "local", std::move(desc)), 0);
    }

    // Ids of the files in a published descriptor.
    static std::vector<uint32_t> filesIn(const std::string& text) {
        SegmentDesc desc;
        EXPECT_TRUE(decodeSegmentDesc(text, &desc).ok()) << text;
        std::vector<uint32_t> ids;
        for (const auto& file : desc.file_buffers) ids.push_back(file.id);
        return ids;
    }
    std::vector<uint32_t> localFiles() {
        // Kept while it is read: other threads replace it.
        const auto desc = metadata_.getSegmentDescByID(LOCAL_SEGMENT_ID);
        std::vector<uint32_t> ids;
        for (const auto& file : desc->file_buffers) ids.push_back(file.id);
        return ids;
    }

    // Makes operations of this name fail.
    void failAll(const std::string& operation, Outcome outcome = Outcome::kFailed) {
        storage_->hook = [operation, outcome](const char* op, const std::string&) {
            return op == operation ? Result{outcome, "told to fail"} : Result{};
        };
    }
    void failNothing() {
        storage_->hook = [](const char*, const std::string&) { return Result{}; };
    }

    std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
    TransferMetadata metadata_{storage_};
};

TEST_F(TransferMetadataTest, CachesWhatItOpens) {
    storage_->set(kRemote, remoteText("1"));
    const auto id = metadata_.getSegmentID("remote");
    ASSERT_EQ(id, 1u);
    storage_->set(kRemote, remoteText("2"));
    EXPECT_EQ(metadata_.getSegmentID("remote"), id);
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "1");
    EXPECT_EQ(metadata_.getSegmentDescByName("remote")->timestamp, "1");
    EXPECT_EQ(metadata_.getSegmentDescByID(id, true)->timestamp, "2");
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "2");
    storage_->set(kRemote, remoteText("3"));
    EXPECT_EQ(metadata_.getSegmentDescByName("remote", true)->timestamp, "3");
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "3");
    EXPECT_EQ(metadata_.getSegmentDescByID(99), nullptr);
    EXPECT_EQ(metadata_.getSegmentDescByID(99, true), nullptr);
    EXPECT_EQ(metadata_.getSegmentID("nobody"), TransferMetadata::kInvalidSegmentID);
    EXPECT_EQ(metadata_.getSegmentDescByName("nobody"), nullptr);
}

// Case 44: without publication, nothing but the exchange itself puts the changes in order.
TEST_F(TransferMetadataTest, ConcurrentChangesOfTheLocalSegmentLoseNone) {
    addLocal();
    constexpr uint32_t kThreads = 4;
    constexpr uint32_t kFiles = 500;
    std::latch together(kThreads);
    std::vector<std::thread> threads;
    for (uint32_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            together.arrive_and_wait();
            for (uint32_t i = 1; i <= kFiles; ++i) {
                EXPECT_EQ(metadata_.addFileBuffer({thread * kFiles + i, "/f", 1, 0}, false), 0);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(localFiles().size(), kThreads * kFiles);
}

// Case 45: the store fails or answers garbage in the middle; what is open goes on.
TEST_F(TransferMetadataTest, KeepsWhatItHasWhileTheStoreIsAway) {
    storage_->set(kRemote, remoteText("1"));
    const auto id = metadata_.getSegmentID("remote");
    failAll("get");
    EXPECT_EQ(metadata_.getSegmentDescByID(id, true), nullptr);
    EXPECT_EQ(metadata_.syncSegmentCache(""), ERR_METADATA);
    ASSERT_TRUE(metadata_.getSegmentDescByID(id));
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "1");
    failNothing();
    // Case 28
    storage_->set(kRemote, "<html>502 Bad Gateway</html>");
    EXPECT_EQ(metadata_.getSegmentDescByID(id, true), nullptr);
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "1");
    storage_->set(kRemote, remoteText("2"));
    EXPECT_EQ(metadata_.syncSegmentCache(""), 0);
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "2");
}

// A store that takes its time holds up nobody who only looks into the cache.
TEST_F(TransferMetadataTest, TheCacheAnswersWhileTheStoreIsSlow) {
    addLocal();
    storage_->set(kRemote, remoteText("1"));
    const auto id = metadata_.getSegmentID("remote");
    std::promise<void> entered;
    std::promise<void> go_on;
    std::atomic<bool> first{true};
    storage_->hook = [&](const char* operation, const std::string&) {
        if (std::string(operation) == "get" && first.exchange(false)) {
            entered.set_value();
            go_on.get_future().wait();
        }
        return Result{};
    };
    auto fetched =
        std::async(std::launch::async, [&] { return metadata_.getSegmentDescByID(id, true); });
    entered.get_future().wait();
    // In another thread, so that a lock held over the fetch is a failure and not a hang.
    auto cached = std::async(std::launch::async, [&] {
        return metadata_.getSegmentDescByID(id) && metadata_.getSegmentID("remote") == id &&
               metadata_.getSegmentDescByName("remote") && metadata_.closeSegment(id) == 0 &&
               metadata_.addFileBuffer({1, "/a", 1, 0}, false) == 0;
    });
    const bool in_time = cached.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
    EXPECT_TRUE(in_time);
    go_on.set_value();
    EXPECT_TRUE(cached.get());
    EXPECT_TRUE(fetched.get());
}

// Of two fetches that cross, the one that began later wins, whichever ends first.
TEST_F(TransferMetadataTest, AnOlderFetchDoesNotReplaceANewerOne) {
    storage_->set(kRemote, remoteText("1"));
    const auto id = metadata_.getSegmentID("remote");
    class SlowReader : public MetadataStorage {
     public:
        Result get(const std::string&, std::string* value) override {
            if (first.exchange(false)) {
                *value = remoteText("old");
                entered.set_value();
                go_on.get_future().wait();
            } else {
                *value = remoteText("new");
            }
            return {};
        }
        Result set(const std::string&, const std::string&) override { return {}; }
        Result remove(const std::string&) override { return {}; }
        Result exchange(const std::string&, const Entry&, const Entry&, Entry*) override {
            return {};
        }
        std::atomic<bool> first{false};
        std::promise<void> entered;
        std::promise<void> go_on;
    };
    auto slow = std::make_shared<SlowReader>();
    TransferMetadata metadata(slow);
    ASSERT_EQ(metadata.getSegmentID("remote"), id);
    slow->first = true;
    auto old =
        std::async(std::launch::async, [&] { return metadata.getSegmentDescByID(id, true); });
    slow->entered.get_future().wait();
    EXPECT_EQ(metadata.getSegmentDescByID(id, true)->timestamp, "new");
    slow->go_on.set_value();
    EXPECT_EQ(old.get()->timestamp, "new");
    EXPECT_EQ(metadata.getSegmentDescByID(id)->timestamp, "new");
}

TEST_F(TransferMetadataTest, ClosingASegmentMakesTheNextOpenFetchIt) {
    storage_->set(kRemote, remoteText("1"));
    const auto id = metadata_.getSegmentID("remote");
    storage_->set(kRemote, remoteText("2"));
    EXPECT_EQ(metadata_.closeSegment(id), 0);
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "1");
    EXPECT_EQ(metadata_.getSegmentID("remote"), id);
    EXPECT_EQ(metadata_.getSegmentDescByID(id)->timestamp, "2");
    EXPECT_EQ(metadata_.closeSegment(5), ERR_INVALID_ARGUMENT);
}

TEST_F(TransferMetadataTest, TheLocalSegmentIsNeverFetched) {
    addLocal();
    storage_->set(kLocal, R"({"name":"local","protocol":"stranger"})");
    EXPECT_EQ(metadata_.getSegmentID("local"), 0u);
    EXPECT_EQ(metadata_.closeSegment(0), 0);
    EXPECT_EQ(metadata_.getSegmentID("local"), 0u);
    EXPECT_EQ(metadata_.getSegmentDescByID(0, true)->protocol, "p");
    EXPECT_EQ(metadata_.getSegmentDescByName("local", true)->protocol, "p");
    EXPECT_EQ(metadata_.syncSegmentCache(""), 0);
    EXPECT_EQ(metadata_.removeLocalSegment("local"), 0);
    EXPECT_EQ(metadata_.getSegmentDescByID(0), nullptr);
    EXPECT_EQ(metadata_.addLocalSegment(0, "local", nullptr), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(metadata_.addLocalSegment(0, "a b", std::make_shared<SegmentDesc>()),
              ERR_INVALID_ARGUMENT);
}

std::string recordWith(const std::vector<TransferMetadata::FileBufferDesc>& files) {
    SegmentDesc desc;
    desc.name = "remote";
    desc.protocol = "p";
    desc.file_buffers = files;
    return encodeSegmentDesc(desc, "1");
}

TransferMetadata::FileBufferDesc fileOf(uint32_t id, char digit) {
    TransferMetadata::FileBufferDesc file{id, std::string("/") + digit, 4096, 0};
    file.uuid = std::string(8, digit) + "-0000-5000-8000-000000000000";
    return file;
}

// The node came back without its first file. However the program looks again, its numbers stay.
TEST_F(TransferMetadataTest, ANumberMeansOneFileHoweverOftenItIsFetched) {
    storage_->set(kRemote, recordWith({fileOf(1, 'a'), fileOf(2, 'b'), fileOf(3, 'c')}));
    const auto id = metadata_.getSegmentID("remote");
    storage_->set(kRemote, recordWith({fileOf(1, 'b'), fileOf(2, 'c'), fileOf(3, 'd')}));
    const auto check = [](const std::shared_ptr<SegmentDesc>& desc) {
        ASSERT_TRUE(desc);
        const auto& files = desc->file_buffers;
        ASSERT_EQ(files.size(), 3u);
        EXPECT_EQ(files[0].id, 2u);
        EXPECT_EQ(files[0].nsid, 1u);
        EXPECT_EQ(files[1].id, 3u);
        EXPECT_EQ(files[1].nsid, 2u);
        EXPECT_GT(files[2].id, 3u) << "3 is c's";
        EXPECT_EQ(files[2].nsid, 3u);
    };
    check(metadata_.getSegmentDesc("remote"));
    check(metadata_.getSegmentDescByID(id, true));
    check(metadata_.getSegmentDescByName("remote", true));
    ASSERT_EQ(metadata_.syncSegmentCache("remote"), 0);
    check(metadata_.getSegmentDescByID(id));
    ASSERT_EQ(metadata_.closeSegment(id), 0);
    ASSERT_EQ(metadata_.getSegmentID("remote"), id);
    check(metadata_.getSegmentDescByID(id));
    ASSERT_EQ(metadata_.removeLocalSegment("remote"), 0);
    const auto later = metadata_.getSegmentID("remote");
    check(metadata_.getSegmentDescByID(later));
    // Another segment has numbers of its own.
    storage_->set("mooncake/ram/other", recordWith({fileOf(2, 'x')}));
    EXPECT_EQ(metadata_.getSegmentDesc("other")->file_buffers.at(0).id, 2u);
}

TEST_F(TransferMetadataTest, OnesOwnFilesKeepTheNumbersThatWereGiven) {
    addLocal();
    ASSERT_EQ(metadata_.addFileBuffer(fileOf(1, 'a'), true), 0);
    ASSERT_EQ(metadata_.removeFileBuffer(1, true), 0);
    ASSERT_EQ(metadata_.addFileBuffer(fileOf(2, 'a'), true), 0);
    EXPECT_EQ(localFiles(), (std::vector<uint32_t>{2}));
    storage_->set(kLocal, recordWith({fileOf(1, 'b')}));
    EXPECT_EQ(metadata_.getSegmentDesc("local")->file_buffers.at(0).id, 1u);
    storage_->set(kLocal, recordWith({fileOf(1, 'c')}));
    EXPECT_EQ(metadata_.getSegmentDesc("local")->file_buffers.at(0).id, 1u);
}

// The code that frees what a plugin made may be unloaded before the metadata is gone.
TEST_F(TransferMetadataTest, KeepsNothingThatAPluginAllocated) {
    std::weak_ptr<SegmentDesc> made;
    {
        auto desc = std::make_shared<SegmentDesc>();
        desc->name = "local";
        made = desc;
        ASSERT_EQ(metadata_.addLocalSegment(LOCAL_SEGMENT_ID, "local", std::move(desc)), 0);
    }
    EXPECT_TRUE(made.expired());
    EXPECT_EQ(metadata_.getSegmentDescByID(LOCAL_SEGMENT_ID)->name, "local");
}

TEST_F(TransferMetadataTest, PublishesFilesAsTheyComeAndGo) {
    EXPECT_EQ(metadata_.addFileBuffer({1, "/a", 10, 0}, true), ERR_INVALID_ARGUMENT)
        << "there is no local segment yet";
    EXPECT_EQ(metadata_.updateLocalSegmentDesc(), ERR_INVALID_ARGUMENT);
    addLocal();
    const auto before = metadata_.getSegmentDescByID(0);
    ASSERT_EQ(metadata_.addFileBuffer({1, "/a", 10, 0}, true), 0);
    EXPECT_TRUE(before->file_buffers.empty()) << "a descriptor in use was changed";
    EXPECT_EQ(filesIn(storage_->values()[kLocal]), (std::vector<uint32_t>{1}));
    ASSERT_EQ(metadata_.addFileBuffer({2, "/b", 10, 0}, false), 0);
    EXPECT_EQ(filesIn(storage_->values()[kLocal]), (std::vector<uint32_t>{1}));
    EXPECT_EQ(metadata_.addFileBuffer({2, "/c", 10, 0}, true), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(metadata_.addFileBuffer({0, "/c", 10, 0}, true), ERR_INVALID_ARGUMENT);
    ASSERT_EQ(metadata_.removeFileBuffer(1, true), 0);
    EXPECT_EQ(filesIn(storage_->values()[kLocal]), (std::vector<uint32_t>{2}));
    EXPECT_EQ(metadata_.removeFileBuffer(1, true), ERR_ADDRESS_NOT_REGISTERED);
    ASSERT_EQ(metadata_.removeFileBuffer(2, false), 0);
    ASSERT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    EXPECT_THAT(filesIn(storage_->values()[kLocal]), IsEmpty());
}

TEST_F(TransferMetadataTest, AFileThatCannotBePublishedIsNotThere) {
    addLocal();
    failAll("set");
    EXPECT_EQ(metadata_.addFileBuffer({1, "/a", 10, 0}, true), ERR_METADATA);
    EXPECT_THAT(localFiles(), IsEmpty());
    failNothing();
    ASSERT_EQ(metadata_.addFileBuffer({1, "/a", 10, 0}, true), 0);
    failAll("set");
    EXPECT_EQ(metadata_.removeFileBuffer(1, true), ERR_METADATA);
    EXPECT_THAT(localFiles(), IsEmpty()) << "a file that is gone must not come back";
    failNothing();
    EXPECT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    EXPECT_THAT(filesIn(storage_->values()[kLocal]), IsEmpty());
}

TEST_F(TransferMetadataTest, RefusesToPublishWhatNobodyCouldRead) {
    SegmentDesc many;
    many.file_buffers.resize(kMaxFileBuffers + 1);
    EXPECT_EQ(metadata_.updateSegmentDesc("node", many), ERR_METADATA);
    SegmentDesc large;
    large.file_buffers.resize(2000, {1, std::string(4096, 'a'), 1, 0});
    EXPECT_EQ(metadata_.updateSegmentDesc("node", large), 0);
    large.file_buffers.resize(2100, {1, std::string(4096, 'a'), 1, 0});
    EXPECT_EQ(metadata_.updateSegmentDesc("node", large), ERR_METADATA);
    EXPECT_EQ(storage_->history().size(), 1u);
}

// Each publication writes the record as a whole, and etcd keeps them all.
TEST_F(TransferMetadataTest, GathersWhatOneThreadAddsAndTakesOutManyAtOnce) {
    addLocal();
    ASSERT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    std::vector<uint32_t> refused, gone;
    {
        TransferMetadata::Gathering gathering(metadata_);
        for (uint32_t id = 1; id <= 1024; ++id) {
            ASSERT_EQ(metadata_.addFileBuffer({id, "/f", 1, 0}, true), 0);
        }
        ASSERT_EQ(metadata_.removeFileBuffer(1, true), 0);
        EXPECT_EQ(storage_->history().size(), 1u);
        // Another thread's promise stays what it is.
        std::thread([&] {
            EXPECT_EQ(metadata_.addFileBuffer({2000, "/g", 1, 0}, true), 0);
        }).join();
        EXPECT_EQ(storage_->history().size(), 2u);
        EXPECT_EQ(gathering.publish(&refused), 0);
        EXPECT_EQ(storage_->history().size(), 3u);
        ASSERT_EQ(metadata_.addFileBuffer({3000, "/h", 1, 0}, true), 0);
        EXPECT_EQ(storage_->history().size(), 4u) << "what comes after it is published at once";
    }
    EXPECT_EQ(storage_->history().size(), 4u);
    EXPECT_THAT(refused, IsEmpty());
    EXPECT_EQ(filesIn(storage_->values()[kLocal]).size(), 1025u);
    for (uint32_t id = 2; id <= 501; ++id) gone.push_back(id);
    gone.push_back(9999);
    ASSERT_EQ(metadata_.removeFileBuffers(gone), 0);
    EXPECT_EQ(storage_->history().size(), 5u);
    EXPECT_EQ(filesIn(storage_->values()[kLocal]).size(), 525u);
    EXPECT_EQ(metadata_.removeFileBuffers(gone), ERR_ADDRESS_NOT_REGISTERED);
    // Forgotten by a program that returns early.
    {
        TransferMetadata::Gathering gathering(metadata_);
        metadata_.addFileBuffer({1, "/f", 1, 0}, true);
    }
    EXPECT_EQ(filesIn(storage_->values()[kLocal]).size(), 526u);
}

// The files are exported: what cannot be said now is said later.
TEST(TransferMetadata, WhatWasGatheredIsPublishedWhenTheStoreIsBack) {
    const auto storage = std::make_shared<MemoryStorage>();
    std::atomic<bool> away{false};
    storage->hook = [&](const char*, const std::string&) {
        return away ? Result{Outcome::kFailed, "told to fail"} : Result{};
    };
    TransferMetadata metadata(storage, std::chrono::milliseconds(1));
    auto desc = std::make_shared<SegmentDesc>();
    desc->name = "local";
    desc->protocol = "p";
    ASSERT_EQ(metadata.addLocalSegment(LOCAL_SEGMENT_ID, "local", std::move(desc)), 0);
    ASSERT_EQ(metadata.updateLocalSegmentDesc(), 0);
    away = true;
    std::vector<uint32_t> refused;
    {
        TransferMetadata::Gathering gathering(metadata);
        ASSERT_EQ(metadata.addFileBuffer({1, "/a", 1, 0}, true), 0);
        EXPECT_TRUE(metadata.publications().current);
        EXPECT_EQ(gathering.publish(&refused), ERR_METADATA);
    }
    EXPECT_FALSE(metadata.publications().current);
    EXPECT_THAT(refused, IsEmpty());
    EXPECT_EQ(metadata.getSegmentDescByID(LOCAL_SEGMENT_ID)->file_buffers.size(), 1u);
    away = false;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (storage->values()[kLocal].find("/a") == std::string::npos &&
           std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_THAT(storage->values()[kLocal], HasSubstr("/a"));
    // The store has it a moment before its answer comes.
    while (!metadata.publications().current && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(metadata.publications().current);
    EXPECT_EQ(metadata.publications().succeeded, 2u);
    EXPECT_GE(metadata.publications().failed, 1u);
}

// A record that is too large for its store goes as far as it goes.
TEST_F(TransferMetadataTest, WhatTheStoreRefusesAsAWholeItIsGivenOneByOne) {
    addLocal();
    ASSERT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    storage_->limit = storage_->values()[kLocal].size() + 150;  // two files and not three
    std::vector<uint32_t> refused;
    TransferMetadata::Gathering gathering(metadata_);
    for (uint32_t id = 1; id <= 5; ++id) {
        ASSERT_EQ(metadata_.addFileBuffer({id, "/" + std::string(20, 'f'), 1, 0}, true), 0);
    }
    EXPECT_EQ(gathering.publish(&refused), 0);
    EXPECT_EQ(refused, (std::vector<uint32_t>{3, 4, 5}));
    EXPECT_EQ(localFiles(), (std::vector<uint32_t>{1, 2}));
    EXPECT_EQ(filesIn(storage_->values()[kLocal]), (std::vector<uint32_t>{1, 2}));
}

// Who waits for a node that comes back finds it with its files, not before them.
TEST_F(TransferMetadataTest, TheSegmentItselfIsGatheredToo) {
    addLocal();
    std::vector<uint32_t> refused;
    {
        TransferMetadata::Gathering gathering(metadata_);
        EXPECT_EQ(metadata_.updateLocalSegmentDesc(), 0);
        ASSERT_EQ(metadata_.addFileBuffer({1, "/a", 1, 0}, true), 0);
        EXPECT_EQ(storage_->history().size(), 0u);
        EXPECT_EQ(gathering.publish(&refused), 0);
    }
    EXPECT_EQ(storage_->history().size(), 1u);
    EXPECT_EQ(filesIn(storage_->values()[kLocal]), (std::vector<uint32_t>{1}));
}

TEST_F(TransferMetadataTest, ASegmentWithoutFilesIsGatheredToo) {
    addLocal();
    std::vector<uint32_t> refused;
    for (const auto outcome : {Outcome::kRefused, Outcome::kFailed}) {
        failAll("set", outcome);
        TransferMetadata::Gathering gathering(metadata_);
        EXPECT_EQ(metadata_.updateLocalSegmentDesc(), 0);
        EXPECT_EQ(gathering.publish(&refused), ERR_METADATA);
        EXPECT_THAT(refused, IsEmpty());
    }
    failNothing();
    TransferMetadata::Gathering gathering(metadata_);
    EXPECT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    EXPECT_EQ(gathering.publish(&refused), 0);
    EXPECT_EQ(storage_->values().count(kLocal), 1u);
}

// Threads that register at a time share publications: while one is under way, all others wait for
// one.
TEST_F(TransferMetadataTest, ConcurrentRegistrationsShareAPublication) {
    addLocal();
    ASSERT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    constexpr uint32_t kThreads = 64;
    std::promise<void> entered, go_on;
    std::atomic<bool> first{true};
    storage_->hook = [&](const char*, const std::string&) {
        if (first.exchange(false)) {
            entered.set_value();
            go_on.get_future().wait();
        }
        return Result{};
    };
    std::vector<std::thread> threads;
    const auto add = [&](uint32_t id) {
        threads.emplace_back([this, id] {
            EXPECT_EQ(metadata_.addFileBuffer({id, "/f", 1, 0}, true), 0);
        });
    };
    add(1);
    entered.get_future().wait();
    for (uint32_t id = 2; id <= kThreads; ++id) add(id);
    while (localFiles().size() < kThreads) std::this_thread::yield();
    go_on.set_value();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(filesIn(storage_->values()[kLocal]).size(), kThreads);
    EXPECT_EQ(storage_->history().size(), 3u) << "the first file, and all others";
}

// Each takes back its own file only.
TEST_F(TransferMetadataTest, AFailedPublicationOfSeveralThreadsLeavesNoneOfTheirFiles) {
    addLocal();
    ASSERT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    failAll("set");
    std::vector<std::thread> threads;
    for (uint32_t id = 1; id <= 16; ++id) {
        threads.emplace_back([this, id] {
            EXPECT_EQ(metadata_.addFileBuffer({id, "/f", 1, 0}, true), ERR_METADATA);
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_THAT(localFiles(), IsEmpty());
}

// Case 44: an older state is never published after a newer one.
TEST_F(TransferMetadataTest, PublicationsAreInOrder) {
    addLocal();
    constexpr uint32_t kThreads = 4;
    constexpr uint32_t kFiles = 25;
    std::vector<std::thread> threads;
    for (uint32_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([this, thread] {
            for (uint32_t i = 1; i <= kFiles; ++i) {
                EXPECT_EQ(metadata_.addFileBuffer({thread * kFiles + i, "/a", 1, 0}, true), 0);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    size_t last = 0;
    for (const std::string& text : storage_->history()) {
        const size_t files = filesIn(text).size();
        EXPECT_GE(files, last);
        last = files;
    }
    EXPECT_EQ(last, kThreads * kFiles);
}

TEST_F(TransferMetadataTest, RemovesFromTheStoreOnlyWhatItPublished) {
    addLocal();
    storage_->set(kRemote, remoteText("1"));
    TransferMetadata::RpcMetaDesc rpc{"h", 1, -1};
    ASSERT_EQ(metadata_.addRpcMetaEntry("local", rpc), 0);
    ASSERT_EQ(metadata_.updateLocalSegmentDesc(), 0);
    ASSERT_EQ(metadata_.getSegmentID("remote"), 1u);
    failAll("remove");
    EXPECT_EQ(metadata_.removePublished(), ERR_METADATA);
    failNothing();
    EXPECT_EQ(metadata_.removePublished(), 0);
    ASSERT_EQ(storage_->values().size(), 1u);
    EXPECT_EQ(storage_->values().begin()->first, kRemote);
    EXPECT_EQ(metadata_.removeSegmentDesc("local"), 0) << "it is gone, which is what was asked";
    EXPECT_EQ(metadata_.removeRpcMetaEntry("local"), 0);
    // What another process published since is not this object's to remove.
    storage_->set(kLocal, "successor");
    EXPECT_EQ(metadata_.removePublished(), 0);
    EXPECT_EQ(storage_->values().count(kLocal), 1u);
}

// Case 46, and garbage is replaced as well.
TEST_F(TransferMetadataTest, ReplacesAnAddressThatACrashedProcessLeft) {
    constexpr char kKey[] = "mooncake/rpc_meta/node";
    for (const char* left : {R"({"ip_or_host_name":"crashed","rpc_port":1})", "garbage",
                             R"({"ip_or_host_name":"h","rpc_port":2,"incarnation":"other"})"}) {
        storage_->set(kKey, left);
        TransferMetadata metadata(storage_);
        TransferMetadata::RpcMetaDesc rpc{"h", 2, -1}, found;
        EXPECT_EQ(metadata.addRpcMetaEntry("node", rpc), 0) << left;
        EXPECT_EQ(metadata_.getRpcMetaEntry("node", found), 0) << left;
        EXPECT_EQ(found.rpc_port, 2);
        EXPECT_FALSE(found.incarnation.empty());
        EXPECT_NE(found.incarnation, "other");
    }
    // A store that refuses for good.
    failAll("set", Outcome::kRefused);
    TransferMetadata::RpcMetaDesc rpc{"h", 3, -1};
    EXPECT_EQ(metadata_.addRpcMetaEntry("node", rpc), ERR_METADATA);
}

TEST_F(TransferMetadataTest, SetsClustersApart) {
    setenv("MC_METADATA_CLUSTER_ID", "blue", 1);
    TransferMetadata blue(storage_);
    unsetenv("MC_METADATA_CLUSTER_ID");
    ASSERT_TRUE(blue.status().ok());
    storage_->set("mooncake/blue/ram/remote", remoteText("blue"));
    EXPECT_EQ(blue.getSegmentDescByName("remote")->timestamp, "blue");
    EXPECT_EQ(metadata_.getSegmentDescByName("remote"), nullptr);
    TransferMetadata::RpcMetaDesc rpc{"h", 1, -1};
    EXPECT_EQ(blue.addRpcMetaEntry("node", rpc), 0);
    EXPECT_EQ(storage_->values().count("mooncake/blue/rpc_meta/node"), 1u);

    setenv("MC_METADATA_CLUSTER_ID", "a b", 1);
    TransferMetadata bad(storage_);
    unsetenv("MC_METADATA_CLUSTER_ID");
    EXPECT_FALSE(bad.status().ok());
    EXPECT_EQ(bad.addRpcMetaEntry("node", rpc), ERR_METADATA);
    EXPECT_EQ(bad.getSegmentID("remote"), TransferMetadata::kInvalidSegmentID);
}

TEST_F(TransferMetadataTest, SaysWhichStoresThereAre) {
    const struct {
        const char* conn;
        Status::Code code;
    } cases[] = {
        {"", Status::Code::kInvalidArgument},
        {"nonsense", Status::Code::kInvalidArgument},
        {"ftp://host/metadata", Status::Code::kInvalidArgument},
        {"http://", Status::Code::kInvalidArgument},
    };
    for (const auto& one : cases) {
        TransferMetadata metadata{std::string(one.conn)};
        EXPECT_EQ(metadata.status().code(), one.code) << one.conn;
        EXPECT_THAT(metadata.status().ToString(), HasSubstr("http://host:port/metadata"));
        TransferMetadata::RpcMetaDesc rpc{"h", 1, -1};
        EXPECT_EQ(metadata.addRpcMetaEntry("node", rpc), ERR_METADATA);
        EXPECT_EQ(metadata.getRpcMetaEntry("node", rpc), ERR_METADATA);
        EXPECT_EQ(metadata.removeSegmentDesc("node"), ERR_METADATA);
        EXPECT_EQ(metadata.updateSegmentDesc("node", SegmentDesc()), ERR_METADATA);
        EXPECT_EQ(metadata.getSegmentDescByName("node"), nullptr);
    }
}

// Case 25
TEST_F(TransferMetadataTest, NoBadNameReachesTheStore) {
    bool asked = false;
    storage_->hook = [&](const char*, const std::string&) {
        asked = true;
        return Result{};
    };
    TransferMetadata::RpcMetaDesc rpc{"h", 1, -1};
    for (const std::string& bad :
         {std::string(), std::string("a b"), std::string("a,b"), std::string("a\nb"),
          std::string("a\0b", 3), std::string("../b"), std::string("rpc_meta/x")}) {
        EXPECT_EQ(metadata_.getSegmentID(bad), TransferMetadata::kInvalidSegmentID);
        EXPECT_EQ(metadata_.getSegmentDescByName(bad, true), nullptr);
        EXPECT_NE(metadata_.removeSegmentDesc(bad), 0);
        EXPECT_NE(metadata_.updateSegmentDesc(bad, SegmentDesc()), 0);
        EXPECT_NE(metadata_.addRpcMetaEntry(bad, rpc), 0);
        EXPECT_NE(metadata_.getRpcMetaEntry(bad, rpc), 0);
        EXPECT_NE(metadata_.removeRpcMetaEntry(bad), 0);
    }
    EXPECT_FALSE(asked);
}

}  // namespace
}  // namespace mooncake::test
