// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <optional>

#include "cases.h"
#include "etcd_server.h"
#include "pool.h"
#include "turn.h"

namespace mooncake::store_bench {
namespace {

constexpr size_t kThreads = 16;
constexpr size_t kBlock = 4096;
constexpr size_t kOfTransaction = 100;
constexpr double kWanted = 20000;  // keys a second
constexpr std::chrono::seconds kTurn(2);

}  // namespace

void measureCommits(const Settings& settings, size_t batch, Report* report) {
#ifdef USE_ETCD
    makeFile(settings.poolFile(), settings.pool_bytes);
    NewDirectories directories(settings.etcd);
    EtcdServer server(settings.etcd);
    std::atomic<uint64_t> next_key{0};
    std::vector<double> puts, transactions, own, of_server;
    for (unsigned turn = 0; turn < settings.turns; ++turn) {
        uint64_t keys = 0;
        const Cost plain = runTurn(
            1, [](size_t) {},
            [&](size_t) {
                for (const auto end = Clock::now() + kTurn; Clock::now() < end;) {
                    server.putKeys(next_key.fetch_add(kOfTransaction), kOfTransaction);
                    keys += kOfTransaction;
                }
            });
        transactions.push_back(static_cast<double>(keys) / plain.seconds);

        Pool pool(directories.next(), settings.poolFile());
        std::atomic<uint64_t> stored{0};
        const double server_before = processorOf(settings.etcd_process);
        const Cost cost = runTurn(
            kThreads, [](size_t) {},
            [&](size_t) {
                const Memory memory(batch * kBlock);
                auto slices = memory.slices(batch, kBlock);
                for (const auto end = Clock::now() + kTurn; Clock::now() < end;) {
                    const auto names = keysOf(next_key.fetch_add(batch), batch);
                    requireAll(pool.client().BatchPut(names, slices, {}), "putting");
                    stored += batch;
                }
            });
        const auto count = static_cast<double>(stored);
        puts.push_back(count / cost.seconds);
        own.push_back(cost.processor / count * 1e6);
        of_server.push_back((processorOf(settings.etcd_process) - server_before) / count * 1e6);
    }
    const std::string name =
        "puts of 4 KiB, 16 threads, etcd, " + std::to_string(batch) + " a call";
    std::vector<double> wanted;
    for (const double rate : transactions) wanted.push_back(std::min(rate, kWanted));
    Row ratio{name + ": against what is wanted", "", ratios(puts, wanted)};
    // A call of one object each is told, too: then there are never more than 16 keys at a time.
    if (batch > 1) ratio.at_least = 1;
    report->add(ratio);
    report->add({name, "keys/s", puts});
    report->add({"etcd's transactions of 100 keys, one after the other", "keys/s", transactions});
    report->add({name + ": processor time of a key, client", "us", own});
    if (settings.etcd_process != 0) {
        report->add({name + ": processor time of a key, server", "us", of_server});
    }
#else
    (void)settings, (void)batch, (void)report;
    fail("this was built without etcd");
#endif
}

}  // namespace mooncake::store_bench
