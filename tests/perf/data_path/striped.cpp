// SPDX-License-Identifier: Apache-2.0
// A batch of 256 reads of 4K over 16 files, file by file or, as striping gives it, from one file to
// the next. Calls of io_submit are counted by the shim.
#include "nodes.h"

namespace mooncake::probe {

void striped(const Arguments& arguments) {
    constexpr size_t kFiles = 16, kRequests = 256, kPerFile = kRequests / kFiles;
    Target target(makeFiles(arguments.folder, kFiles));
    Initiator initiator;
    const SegmentHandle segment = initiator.open(target.name);
    TransferEngine& engine = initiator.engine;
    const Buffer buffer(kRequests * kBlock);
    for (const FileBufferID file : target.files) Read(engine, segment, file).run(0);
    std::map<std::string, double> values;
    for (const bool grouped : {true, false}) {
        std::vector<TransferRequest> requests;
        for (size_t i = 0; i < kRequests; ++i) {
            const size_t file = grouped ? i / kPerFile : i % kFiles;
            const size_t block = grouped ? i % kPerFile : i / kFiles;
            requests.push_back({TransferRequest::READ, buffer.data + i * kBlock, segment,
                                block * kBlock, kBlock, 0, target.files[file]});
        }
        const auto once = [&] {
            const BatchID batch = engine.allocateBatchID(kRequests);
            if (!engine.submitTransfer(batch, requests).ok()) fail("submitting");
            TransferStatus status;
            for (;;) {
                if (!engine.getBatchTransferStatus(batch, status).ok()) fail("asking");
                if (status.s != TransferStatusEnum::WAITING) break;
                engine.waitForProgress(std::chrono::milliseconds(10));
            }
            if (status.s != TransferStatusEnum::COMPLETED) fail("a batch failed");
            engine.freeBatchID(batch);
        };
        for (int i = 0; i < 20; ++i) once();
        const AioShimCounts before = shimCounts();
        const double cpu = processCpu();
        double batches = 0;
        for (const auto end = Clock::now() + arguments.time / 2; Clock::now() < end; ++batches)
            once();
        const double used = processCpu() - cpu;
        const AioShimCounts after = shimCounts();
        const std::string name = grouped ? "grouped" : "striped";
        values["io_submit_calls_" + name] =
            static_cast<double>(after.calls - before.calls) / batches;
        values["ios_" + name] = static_cast<double>(after.operations - before.operations) / batches;
        values["us_per_request_" + name] = used * 1e6 / batches / kRequests;
    }
    report(values);
}

}  // namespace mooncake::probe
