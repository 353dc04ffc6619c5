// SPDX-License-Identifier: Apache-2.0
// A segment that is used for the first time where no thread can be started (a container's
// pids.max).
#include "local_nodes.h"
#include "thread_limit.h"

namespace mooncake::test {
namespace {

TEST(SubmittingWithoutThreadsTest, FailsOrWorks) {
    constexpr size_t kSize = 1 << 20;
    const FileFolder folder;
    Node target, node;
    target.becomeTarget();
    const FileBufferID file = target.add(folder.make("file", kSize, 'x'), kSize);
    const SegmentHandle segment = node.open(target.name());
    Memory memory(kBlock);
    const TransferRequest request{TransferRequest::READ, memory.data, segment, 0, kBlock, 0, file};
    const BatchID batch = node.engine.allocateBatchID(1);
    Status status;
    {
        using test_support::ThreadLimit;
        const ThreadLimit none(1, ThreadLimit::Fails::kAllFrom);
        EXPECT_NO_THROW(status = node.engine.submitTransfer(batch, {request}));
    }
    TransferStatus task;
    if (node.engine.getTransferStatus(batch, 0, task).ok()) {
        EXPECT_TRUE(eventually([&] {
            node.engine.waitForProgress(std::chrono::milliseconds(1));
            node.engine.getTransferStatus(batch, 0, task);
            return task.s != TransferStatusEnum::WAITING;
        })) << "the task never ends";
    } else {
        EXPECT_FALSE(status.ok());
    }
    EXPECT_TRUE(node.engine.freeBatchID(batch).ok());
    EXPECT_EQ(node.run(request).s, TransferStatusEnum::COMPLETED) << "once there are threads again";
}

}  // namespace
}  // namespace mooncake::test
