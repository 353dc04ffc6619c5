// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "error.h"
#include "memory_limit.h"
#include "memory_storage.h"
#include "multi_transport.h"
#include "transfer_engine_c.h"
#include "transport/transport.h"

namespace mooncake {

using test_support::withMemoryFor;

// The caller of a batch that is freed has nobody to tell that there is no memory.
TEST(NoMemoryTest, ATaskIsClearedAllTheSame) {
    Transport::TransferTask task;
    for (int i = 0; i < 3; ++i) task.slice_list.push_back(new Transport::Slice());
    EXPECT_EQ(withMemoryFor(0, [&] { task.clear(); }), 3) << "this thread's cache had room before";
    EXPECT_TRUE(task.slice_list.empty());
}

// Ends its tasks at once, and needs no memory for it.
class FrugalTransport : public Transport {
    Status submitTransfer(BatchID, const std::vector<TransferRequest>&) override { return {}; }
    Status submitTransferTask(const std::vector<TransferTask*>& tasks) override {
        for (TransferTask* task : tasks) {
            task->slice_count = 1;
            task->success_slice_count = 1;
        }
        return {};
    }
    Status getTransferStatus(BatchID, size_t, TransferStatus&) override { return {}; }
    int registerLocalMemory(void*, size_t, const std::string&, bool, bool) override { return 0; }
    int unregisterLocalMemory(void*, bool) override { return 0; }
    int registerLocalMemoryBatch(const std::vector<BufferEntry>&, const std::string&) override {
        return 0;
    }
    int unregisterLocalMemoryBatch(const std::vector<void*>&) override { return 0; }
    const char* getName() const override { return "frugal"; }
};

// Whichever allocation fails, all requests of a call are submitted or none is.
TEST(NoMemoryTest, ASubmissionIsAllOrNothing) {
    auto metadata = std::make_shared<TransferMetadata>(std::make_shared<test::MemoryStorage>());
    MultiTransport transports(metadata, "node");
    std::vector<Transport::TransferRequest> requests;
    for (Transport::SegmentID segment = 1; segment <= 20; ++segment) {
        auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
        desc->name = std::to_string(segment);
        desc->protocol = "p" + std::to_string(segment % 3);
        const std::string name = desc->name;
        ASSERT_EQ(metadata->addLocalSegment(segment, name, std::move(desc)), 0);
        requests.push_back({Transport::TransferRequest::READ, &metadata, segment, 0, 1});
    }
    for (const char* proto : {"p0", "p1", "p2"}) {
        ASSERT_EQ(transports.addTransport(proto, std::make_shared<FrugalTransport>(), nullptr), 0);
    }
    const auto batch = transports.allocateBatchID(requests.size());
    int failures = 0;
    Status status = Status::Memory("");
    for (; status.IsMemory() && failures < 1000; ++failures) {
        // A thread of its own, which has kept no memory from before.
        std::thread([&] {
            withMemoryFor(failures, [&] { status = transports.submitTransfer(batch, requests); });
        }).join();
        Transport::TransferStatus all{};
        ASSERT_TRUE(transports.getBatchTransferStatus(batch, all).ok());
        EXPECT_EQ(all.s, Transport::COMPLETED);
        EXPECT_EQ(transports.getTransferStatus(batch, 0, all).ok(), status.ok());
        EXPECT_EQ(transports.getTransferStatus(batch, 19, all).ok(), status.ok());
    }
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_GT(failures, 10) << "this says nothing";
    EXPECT_TRUE(transports.freeBatchID(batch).ok());
}

TEST(NoMemoryTest, NoBatch) {
    MultiTransport transports(
        std::make_shared<TransferMetadata>(std::make_shared<test::MemoryStorage>()), "node");
    const auto first = transports.allocateBatchID(1);
    auto none = first;
    withMemoryFor(0, [&] { none = transports.allocateBatchID(1000); });
    EXPECT_EQ(none, MultiTransport::INVALID_BATCH_ID);
    EXPECT_TRUE(transports.freeBatchID(first).ok());
    // A transport's own, too.
    FrugalTransport transport;
    EXPECT_EQ(transport.Transport::allocateBatchID(SIZE_MAX / 2), Transport::INVALID_BATCH_ID);
}

TEST(NoMemoryTest, CIsToldSo) {
    const transfer_engine_t engine =
        createTransferEngine("P2PHANDSHAKE", "127.0.0.1:0", nullptr, 0, 0);
    ASSERT_NE(engine, nullptr);
    const batch_id_t batch = allocateBatchID(engine, 1);
    transfer_request request{};
    int rc = 0;
    withMemoryFor(0, [&] { rc = submitTransfer(engine, batch, &request, 1); });
    EXPECT_EQ(rc, ERR_MEMORY);
    transfer_status status{};
    EXPECT_EQ(getTransferStatus(engine, batch, 0, &status), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(freeBatchID(engine, batch), 0);
    destroyTransferEngine(engine);
}

}  // namespace mooncake
