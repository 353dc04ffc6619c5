// SPDX-License-Identifier: Apache-2.0
#include "transfer_engine_c.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "error.h"
#include "fixture_control.h"
#include "log_lines.h"
#include "server_thread.h"
#include "transfer_metadata.h"

// Compiled as C, see transfer_engine_c_layout.c.
extern "C" size_t requestSizeInC(void);
extern "C" size_t fileIdOffsetInC(void);
// See c_program.c.
extern "C" int runProgramInC(const char* metadata, void* control);

namespace mooncake::test {
namespace {

TEST(TransferEngineCTest, FileIdIsTheLastMemberOfARequest) {
    EXPECT_EQ(offsetof(transfer_request, file_id), fileIdOffsetInC());
    EXPECT_EQ(sizeof(transfer_request), requestSizeInC());
    EXPECT_GT(offsetof(transfer_request, file_id), offsetof(transfer_request, length));
    // As in an engine without files.
    EXPECT_EQ(offsetof(transfer_request, target_offset), 24u);
    EXPECT_EQ(offsetof(transfer_request, length), 32u);
}

// Who has nothing else to do asks again and again.
TEST(TransferEngineCTest, ABusyBatchIsNoErrorForTheLog) {
    setenv("MC_TRANSPORT_PLUGIN_PATH", FIXTURE_PLUGIN_FOLDER, 1);
    ServerThread server;
    FixtureControl control;
    control.complete_at_once = false;
    const transfer_engine_t engine =
        createTransferEngine(server.url().c_str(), "node", nullptr, 0, 0);
    void* args[] = {&control};
    ASSERT_NE(installTransport(engine, "fixture_good", args), nullptr);
    char buffer[64] = {};
    transfer_request request = {};
    request.source = buffer;
    request.length = sizeof(buffer);
    const batch_id_t batch = allocateBatchID(engine, 1);
    ASSERT_EQ(submitTransfer(engine, batch, &request, 1), 0);
    {
        const test_support::LogLines errors(google::GLOG_ERROR);
        EXPECT_EQ(freeBatchID(engine, batch), ERR_BATCH_BUSY);
        EXPECT_EQ(errors.count(), 0u) << errors.text();
        EXPECT_EQ(freeBatchID(engine, batch + 1), ERR_INVALID_ARGUMENT);
        EXPECT_EQ(errors.count(), 1u) << errors.text();
    }
    EXPECT_EQ(submitTransfer(engine, batch, nullptr, 0), 0) << "nothing is to be done";
    EXPECT_EQ(uninstallTransport(engine, "fixture_good"), 0);
    EXPECT_EQ(freeBatchID(engine, batch), 0);
    destroyTransferEngine(engine);
}

TEST(TransferEngineCTest, RegistersAFileAndTransfersToIt) {
    setenv("MC_TRANSPORT_PLUGIN_PATH", FIXTURE_PLUGIN_FOLDER, 1);
    ServerThread server;
    FixtureControl control;
    transfer_engine_t engine =
        createTransferEngine(server.url().c_str(), "node", "10.0.0.7", 4567, 0);
    ASSERT_NE(engine, nullptr);
    char address[32];
    EXPECT_EQ(getLocalIpAndPort(engine, address, sizeof(address)), 0);
    EXPECT_STREQ(address, "10.0.0.7:4567");
    EXPECT_EQ(getLocalIpAndPort(engine, address, std::strlen("10.0.0.7:4567")),
              ERR_INVALID_ARGUMENT);

    void* args[] = {&control};
    EXPECT_FALSE(supportFileBuffer(engine));
    ASSERT_NE(installTransport(engine, "fixture_good", args), nullptr);
    EXPECT_TRUE(supportFileBuffer(engine));
    file_id_t id = 0;
    EXPECT_EQ(registerLocalFile(engine, "/a", 4096, nullptr), ERR_INVALID_ARGUMENT);
    ASSERT_EQ(registerLocalFile(engine, "/a", 4096, &id), 0);
    EXPECT_EQ(id, 1u);

    char buffer[64] = {};
    EXPECT_EQ(registerLocalMemory(engine, buffer, sizeof(buffer), nullptr, 1), 0);
    const segment_id_t segment = openSegment(engine, "node");
    EXPECT_EQ(segment, LOCAL_SEGMENT);
    EXPECT_EQ(openSegment(engine, "nobody"), -1);
    EXPECT_EQ(openSegmentNoCache(engine, "node"), LOCAL_SEGMENT);

    transfer_request request = {};
    request.opcode = OPCODE_WRITE;
    request.source = buffer;
    request.target_id = segment;
    request.target_offset = uint64_t{1} << 40;
    request.length = sizeof(buffer);
    request.file_id = id;
    const batch_id_t batch = allocateBatchID(engine, 1);
    ASSERT_NE(batch, INVALID_BATCH);
    transfer_request bad = request;
    bad.opcode = 2;
    EXPECT_EQ(submitTransfer(engine, batch, &bad, 1), ERR_INVALID_ARGUMENT);
    bad = request;
    bad.target_id = -1;
    EXPECT_EQ(submitTransfer(engine, batch, &bad, 1), ERR_INVALID_ARGUMENT);
    ASSERT_EQ(submitTransfer(engine, batch, &request, 1), 0);
    EXPECT_EQ(submitTransfer(engine, batch, &request, 1), ERR_TOO_MANY_REQUESTS);
    {
        std::lock_guard lock(control.mutex);
        ASSERT_EQ(control.requests.size(), 1u);
        const Transport::TransferRequest& seen = control.requests[0];
        EXPECT_EQ(seen.opcode, Transport::TransferRequest::WRITE);
        EXPECT_EQ(seen.source, buffer);
        EXPECT_EQ(seen.target_id, static_cast<Transport::SegmentID>(LOCAL_SEGMENT_ID));
        EXPECT_EQ(seen.target_offset, uint64_t{1} << 40);
        EXPECT_EQ(seen.length, sizeof(buffer));
        EXPECT_EQ(seen.file_id, id);
        EXPECT_EQ(seen.advise_retry_cnt, 0);
    }
    transfer_status status = {};
    ASSERT_EQ(getTransferStatus(engine, batch, 0, &status), 0);
    EXPECT_EQ(status.status, STATUS_COMPLETED);
    EXPECT_EQ(status.transferred_bytes, sizeof(buffer));
    EXPECT_EQ(getTransferStatus(engine, batch, 1, &status), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(freeBatchID(engine, batch), 0);
    EXPECT_EQ(freeBatchID(engine, batch), ERR_INVALID_ARGUMENT);

    EXPECT_EQ(unregisterLocalMemory(engine, buffer), 0);
    buffer_entry_t entry = {buffer, sizeof(buffer)};
    void* addresses[] = {buffer};
    EXPECT_EQ(registerLocalMemoryBatch(engine, &entry, 1, "*"), 0);
    EXPECT_EQ(unregisterLocalMemoryBatch(engine, addresses, 1), 0);
    EXPECT_EQ(syncSegmentCache(engine), 0);
    EXPECT_EQ(closeSegment(engine, segment), 0);
    EXPECT_EQ(closeSegment(engine, -1), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(unregisterLocalFile(engine, "/a"), 0);
    EXPECT_EQ(registerLocalFileAs(engine, "/b", 4096, 1), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(registerLocalFileAs(engine, nullptr, 4096, 7), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(registerLocalFileAs(engine, "/b", 4096, 7), 0);
    EXPECT_EQ(unregisterLocalFile(engine, "/b"), 0);
    EXPECT_EQ(removeLocalSegment(engine, "node"), 0);
    EXPECT_EQ(uninstallTransport(engine, "fixture_good"), 0);
    destroyTransferEngine(engine);
}

TEST(TransferEngineCTest, AProgramInCReadsAndWritesAFileOfAnotherEngine) {
    setenv("MC_TRANSPORT_PLUGIN_PATH", FIXTURE_PLUGIN_FOLDER, 1);
    ServerThread server;
    FixtureControl control;
    EXPECT_EQ(runProgramInC(server.url().c_str(), &control), 0) << "the step that failed";
    EXPECT_EQ(control.destroyed, 2);
    EXPECT_TRUE(control.files.empty());
    EXPECT_TRUE(control.memory.empty());
    ASSERT_EQ(control.requests.size(), 2u);
    EXPECT_EQ(control.requests[0].opcode, Transport::TransferRequest::WRITE);
    EXPECT_EQ(control.requests[1].opcode, Transport::TransferRequest::READ);
    EXPECT_EQ(control.requests[1].file_id, 1u);
}

TEST(TransferEngineCTest, AsksTheStoreAgainWhereItSaysSo) {
    ServerThread server;
    TransferMetadata other(server.url());
    TransferMetadata::SegmentDesc desc;
    desc.name = "other";
    desc.protocol = "p";
    ASSERT_EQ(other.updateSegmentDesc("other", desc), 0);
    transfer_engine_t engine = createTransferEngine(server.url().c_str(), "node", "h", 1, 0);
    ASSERT_NE(engine, nullptr);
    const segment_id_t segment = openSegment(engine, "other");
    ASSERT_GT(segment, 0);
    EXPECT_EQ(syncSegmentCache(engine), 0);
    EXPECT_EQ(openSegmentNoCache(engine, "other"), segment);
    ASSERT_EQ(other.removeSegmentDesc("other"), 0);
    EXPECT_EQ(openSegment(engine, "other"), segment) << "what is open stays open";
    EXPECT_EQ(syncSegmentCache(engine), ERR_METADATA);
    EXPECT_EQ(openSegmentNoCache(engine, "other"), -1);
    destroyTransferEngine(engine);
}

TEST(TransferEngineCTest, NullsAreErrors) {
    EXPECT_EQ(createTransferEngine(nullptr, "node", nullptr, 1, 0), nullptr);
    EXPECT_EQ(createTransferEngine("http://127.0.0.1:1/metadata", nullptr, nullptr, 1, 0), nullptr);
    EXPECT_EQ(installTransport(nullptr, "x", nullptr), nullptr);
    EXPECT_EQ(openSegment(nullptr, "x"), -1);
    EXPECT_EQ(allocateBatchID(nullptr, 1), INVALID_BATCH);
    EXPECT_EQ(submitTransfer(nullptr, 1, nullptr, 0), ERR_INVALID_ARGUMENT);
    EXPECT_FALSE(supportFileBuffer(nullptr));
    destroyTransferEngine(nullptr);
}

}  // namespace
}  // namespace mooncake::test
