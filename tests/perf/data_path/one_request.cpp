// SPDX-License-Identifier: Apache-2.0
// A single request of each of two threads, between breakpoints, for the stepper; on the real
// kernel.
#include <atomic>

#include "nodes.h"

namespace mooncake::probe {

void oneRequest(const Arguments& arguments) {
    Target target(makeFiles(arguments.folder, 3));
    Initiator initiator;
    TransferEngine& engine = initiator.engine;
    const SegmentHandle segment = initiator.open(target.name);
    for (int round = 0; round < 12; ++round) {
        // Both threads are there from the first to the last request; the marked ones come one after
        // the other, so that neither shows what the other does.
        std::atomic<int> turn{0};
        const auto thread = [&](int me) {
            const Buffer buffer;
            const std::vector<TransferRequest> requests{{TransferRequest::READ, buffer.data,
                                                         segment, 0, kBlock, 0,
                                                         target.files[static_cast<size_t>(me)]}};
            const auto one = [&](bool marked) {
                TransferStatus status;
                if (marked) asm volatile("int3");
                const BatchID batch = engine.allocateBatchID(1);
                const bool taken = engine.submitTransfer(batch, requests).ok();
                // Once, as a rule: a sparse file is read when io_submit returns.
                do {
                    engine.getTransferStatus(batch, 0, status);
                } while (status.s == TransferStatusEnum::WAITING);
                const bool freed = engine.freeBatchID(batch).ok();
                if (marked) asm volatile("int3");
                if (!taken || !freed || status.s != TransferStatusEnum::COMPLETED)
                    fail("a read failed");
            };
            for (int i = 0; i < 1000; ++i) one(false);
            for (int now = 0; (now = turn.load()) != me;) turn.wait(now);
            for (int i = 0; i < 10; ++i) one(false);
            one(true);
            turn = me + 1;
            turn.notify_all();
            for (int now = 0; (now = turn.load()) != 2;) turn.wait(now);
        };
        // Between two steps there is time enough for an idle pool's threads to go to sleep, and a
        // request after that wakes them. Somebody else keeps them awake, as under load.
        std::jthread awake([&](const std::stop_token& stop) {
            Read read(engine, segment, target.files[2]);
            while (!stop.stop_requested()) read.run(0);
        });
        std::jthread first(thread, 0), second(thread, 1);
    }
}

}  // namespace mooncake::probe
