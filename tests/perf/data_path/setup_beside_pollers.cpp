// SPDX-License-Identifier: Apache-2.0
// How long an engine's control path takes while 16 threads do nothing but submit and ask. The shim
// delays I/O, so that there is always something to ask for.
#include <atomic>
#include <memory>

#include "nodes.h"

namespace mooncake::probe {
namespace {

/// Reads and asks without end, also while there is no transport.
void poll(TransferEngine& engine, SegmentHandle segment, FileBufferID file, uint64_t offset,
          const std::atomic<bool>& stop, std::atomic<uint64_t>& count) {
    const Buffer buffer;
    const std::vector<TransferRequest> requests{
        {TransferRequest::READ, buffer.data, segment, offset, kBlock, 0, file}};
    while (!stop.load(std::memory_order_relaxed)) {
        const BatchID batch = engine.allocateBatchID(1);
        if (!engine.submitTransfer(batch, requests).ok()) {
            engine.freeBatchID(batch);
            continue;
        }
        TransferStatus status;
        do {
            if (!engine.getTransferStatus(batch, 0, status).ok()) fail("asking");
            count.fetch_add(1, std::memory_order_relaxed);
        } while (status.s == TransferStatusEnum::WAITING);
        engine.freeBatchID(batch);
    }
}

}  // namespace

void setupBesidePollers(const Arguments& arguments) {
    constexpr size_t kPollers = 16;
    constexpr int kRounds = 5;
    Target target(makeFiles(arguments.folder, 1));
    Initiator initiator;
    TransferEngine& engine = initiator.engine;
    const SegmentHandle segment = initiator.open(target.name);
    Read(engine, segment, target.files[0]).run(0);
    // The time within which a node answers is not this node's matter; these are answered at once.
    std::vector<std::unique_ptr<Target>> others;
    for (int i = 0; i < kRounds; ++i) {
        others.push_back(std::make_unique<Target>(std::vector<std::string>()));
    }
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> asked{0};
    std::vector<std::jthread> pollers;
    for (size_t i = 0; i < kPollers; ++i) {
        pollers.emplace_back(
            [&, i] { poll(engine, segment, target.files[0], i * kBlock, stop, asked); });
    }
    std::vector<double> open, uninstall, install;
    const auto timed = [](std::vector<double>& into, const auto& action) {
        const auto begun = Clock::now();
        action();
        into.push_back(milliseconds(Clock::now() - begun));
    };
    const uint64_t before = asked;
    for (const auto& other : others) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        timed(open, [&] { initiator.open(other->name); });
        timed(uninstall, [&] {
            if (engine.uninstallTransport("nvmeof_generic") != 0) fail("uninstalling");
        });
        timed(install, [&] {
            if (engine.installTransport("nvmeof_generic", nullptr) == nullptr) fail("installing");
        });
    }
    if (asked == before) fail("nobody asked meanwhile");
    stop = true;
    pollers.clear();
    report({{"open_ms", quantile(open, 0.5)},
            {"open_ms_worst", quantile(open, 1)},
            {"uninstall_ms", quantile(uninstall, 0.5)},
            {"uninstall_ms_worst", quantile(uninstall, 1)},
            {"install_ms", quantile(install, 0.5)},
            {"install_ms_worst", quantile(install, 1)}});
}

}  // namespace mooncake::probe
