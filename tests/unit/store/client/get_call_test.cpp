// SPDX-License-Identifier: Apache-2.0
// Gets by somebody whose picture of the store is an old one.
#include <cstring>
#include <thread>

#include "threadless_client.h"

namespace mooncake::store {
namespace {

using mooncake::test::contentOf;
using mooncake::test::kMiB;
using testing::Each;
using testing::ElementsAre;

constexpr size_t kSize = 300000;

class GetCallTest : public ThreadlessClientTest {
 protected:
    // Where the first byte of the object's first copy lies in memory.
    std::byte* placeOf(ThreadlessClient& client, const std::string& key) {
        const Extent extent = client.entry(key)->replicas.at(0).at(0);
        return control.file(pathOf(client))->data() + kMiB + extent.region.index * 4 * kMiB +
               extent.offset;
    }
    std::string pathOf(const ThreadlessClient& client) const {
        return folder.path() + "/" + client.node;
    }
    // The node's file lies somewhere else now, and where it was there is another one of the store.
    // @param has_new_number  whether the node exports it under another number, and has told so
    void moveFile(ThreadlessClient& client, FileNumber number, bool has_new_number) {
        const auto metadata = client.engine->getMetadata();
        const auto own = metadata->getSegmentDescByID(LOCAL_SEGMENT_ID);
        ASSERT_EQ(own->file_buffers.size(), 1u);
        const auto before = own->file_buffers.front();
        const auto bytes = control.file(before.path);
        auto now = before;
        now.path += " moved";
        {
            const std::lock_guard lock(control.mutex);
            control.files[now.path] = std::make_shared<MemoryTransportControl::Bytes>(*bytes);
        }
        const auto another = this->client("another " + client.node);
        another->mountFile(folder, 8);
        *bytes = *control.file(pathOf(*another));
        if (has_new_number) {
            ++now.id;
        } else {
            ASSERT_EQ(metadata->removeFileBuffer(before.id, true), 0);
        }
        ASSERT_EQ(metadata->addFileBuffer(now, true), 0);
        if (!has_new_number) return;
        const Mount mount{0, client.node, client.mounted.segmentName(), now.id, now.path};
        ASSERT_TRUE(client.directory.mountFile(number, mount, DirectoryStub::soon()));
    }
    static std::vector<ErrorCode> getMany(ThreadlessClient& client,
                                          const std::vector<std::string>& keys, Deadline limit) {
        std::vector<std::string> bytes(keys.size(), std::string(kSize, '?'));
        std::vector<Slice> slices;
        for (auto& each : bytes) slices.push_back({each.data(), each.size()});
        std::vector<GetCall::Item> items(keys.size());
        for (size_t i = 0; i < keys.size(); ++i) {
            items[i].key = &keys[i];
            items[i].slices = {&slices[i], 1};
        }
        GetCall(client.parts, limit).run(items);
        std::vector<ErrorCode> codes;
        for (size_t i = 0; i < keys.size(); ++i) {
            codes.push_back(items[i].result ? ErrorCode::OK : items[i].result.error());
            if (items[i].result) {
                EXPECT_TRUE(bytes[i] == contentOf(keys[i], kSize)) << keys[i];
            }
        }
        return codes;
    }

    std::unique_ptr<ThreadlessClient> one = client("one");
};

// What a reader knows of the way leads to another file now: it asks, and reads there.
TEST_F(GetCallTest, AFileThatHasMovedIsFoundAgain) {
    const FileNumber file = one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    const auto reader = client("reader");
    ASSERT_EQ(reader->get("key", kSize), ErrorCode::OK);
    moveFile(*one, file, false);
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::OK);
    EXPECT_EQ(reader->numbers().replicas_dropped, 0u);
    EXPECT_TRUE(one->entry("key"));
}

// The same where its node has told the directory another number, and the reader has not heard of
// that.
TEST_F(GetCallTest, AFileWithAnotherNumberIsFoundAgain) {
    const FileNumber file = one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    const auto reader = client("reader");
    ASSERT_EQ(reader->get("key", kSize), ErrorCode::OK);
    moveFile(*one, file, true);
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::OK);
    EXPECT_EQ(reader->numbers().replicas_dropped, 0u);
    EXPECT_TRUE(one->entry("key"));
}

// That the way led elsewhere before says nothing of the bytes there.
TEST_F(GetCallTest, ADamagedObjectOfAFileThatHasMovedIsFoundOut) {
    const FileNumber file = one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    const auto reader = client("reader");
    ASSERT_EQ(reader->get("key", kSize), ErrorCode::OK);
    *placeOf(*one, "key") ^= std::byte{1};
    moveFile(*one, file, false);
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::CHECKSUM_MISMATCH);
    EXPECT_EQ(reader->numbers().replicas_dropped, 1u);
    EXPECT_FALSE(one->entry("key"));
}

// Nobody has told the reader of it yet. The directory is asked once for all of a batch.
TEST_F(GetCallTest, AFileThatIsNotKnownYetIsAskedFor) {
    one->mountFile(folder, 8);
    const auto reader = client("reader");
    ASSERT_EQ(one->put("old", kSize), ErrorCode::OK);
    const auto two = client("two"), three = client("three");
    two->mountFile(folder, 8);
    three->mountFile(folder, 8);
    for (const auto& writer : {two.get(), three.get()}) {
        ReplicateConfig config;
        config.preferred_segment = writer->node;
        ASSERT_EQ(writer->put("of " + writer->node, kSize, config), ErrorCode::OK);
    }
    const std::vector<std::string> keys{"old", "of two", "of three"};
    const int before = reader->directory.calls("files");
    EXPECT_THAT(getMany(*reader, keys, DirectoryStub::soon()), Each(ErrorCode::OK));
    EXPECT_EQ(reader->directory.calls("files"), before + 1);
}

// Who does not answer is not asked for each object.
TEST_F(GetCallTest, FilesThatNobodyTellsOfAreAskedForOnce) {
    const auto reader = client("reader");
    one->mountFile(folder, 8);
    const std::vector<std::string> keys{"a", "b", "c"};
    for (const auto& key : keys) ASSERT_EQ(one->put(key, kSize), ErrorCode::OK);
    reader->directory.setHooks(
        [](const std::string& call, Deadline) -> Result<> {
            if (call != "files") return {};
            return failed(Failure::kTimeout, "no answer");
        },
        nullptr);
    const int before = reader->directory.calls("files");
    EXPECT_THAT(getMany(*reader, keys, DirectoryStub::soon()), Each(ErrorCode::OBJECT_NOT_FOUND));
    EXPECT_EQ(reader->directory.calls("files"), before + 1);
}

// What is remembered needs no directory, also in a batch with what does.
TEST_F(GetCallTest, WhatIsRememberedIsReadWhileTheDirectoryIsSilent) {
    one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    one->directory.setHooks(
        [](const std::string& call, Deadline deadline) -> Result<> {
            if (call != "lookup") return {};
            std::this_thread::sleep_until(deadline);
            return failed(Failure::kTimeout, "no answer");
        },
        nullptr);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    EXPECT_THAT(getMany(*one, {"unknown", "key"}, limit),
                ElementsAre(ErrorCode::RPC_TIMEOUT, ErrorCode::OK));
}

// What has gone is forgotten: no byte is read for it again.
TEST_F(GetCallTest, WhatIsNotThereAnyMoreIsNotRemembered) {
    one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    const auto reader = client("reader");
    ASSERT_EQ(reader->get("key", kSize), ErrorCode::OK);
    *placeOf(*one, "key") ^= std::byte{1};
    ASSERT_TRUE(one->directory.remove({"key"}, DirectoryStub::soon()));
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(reader->cache.size(), 0u);
    const uint64_t requests = reader->data.counts().requests;
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(reader->data.counts().requests, requests);
    EXPECT_EQ(reader->numbers().misses_evicted, 1u);
    EXPECT_EQ(reader->numbers().misses_absent, 1u);
}

// What goes wrong on the way to the caller's memory, or there, is no matter of the copy.
TEST_F(GetCallTest, BytesThatAreRightInTheFileCostNoCopy) {
    one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    const auto reader = client("reader");
    // As long as the object's whole blocks: straight to the caller's memory.
    int wrong = 0;
    control.fault = [&](const MemoryTransportControl::Request& request, const std::string&) {
        const bool is_direct = request.length == kSize / kBlockBytes * kBlockBytes;
        return is_direct && wrong-- > 0 ? TransferFault::kCorrupt : TransferFault::kNone;
    };
    wrong = 1;
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::OK);
    wrong = 2;
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::INVALID_PARAMS);
    EXPECT_THAT(lastError(), testing::HasSubstr("overlap"));
    wrong = 0;
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::OK);
    EXPECT_EQ(reader->numbers().checksum_failures, 0u);
    EXPECT_EQ(reader->numbers().replicas_dropped, 0u);
    EXPECT_TRUE(one->entry("key"));
}

// Whether its region has another content now is not known: nothing is taken out.
TEST_F(GetCallTest, NothingIsTakenOutWhileNobodyTellsOfTheRegions) {
    one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    std::byte* const place = placeOf(*one, "key");
    *place ^= std::byte{1};
    const auto reader = client("reader");
    reader->directory.setHooks(
        [](const std::string& call, Deadline) -> Result<> {
            if (call != "regions") return {};
            return failed(Failure::kTimeout, "no answer");
        },
        nullptr);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(reader->get("key", kSize), ErrorCode::OBJECT_NOT_FOUND);
        EXPECT_TRUE(one->entry("key"));
    }
    EXPECT_EQ(reader->numbers().checksum_failures, 0u);
    *place ^= std::byte{1};
    EXPECT_EQ(reader->get("key", kSize), ErrorCode::OK);
}

}  // namespace
}  // namespace mooncake::store
