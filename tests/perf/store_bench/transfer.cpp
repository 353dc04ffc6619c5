// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>

#include "bench/batch_runner.h"
#include "cases.h"
#include "pool.h"
#include "turn.h"

namespace mooncake::store_bench {
namespace {

constexpr std::chrono::minutes kStall(2);
constexpr uint64_t kMostBytes = 512 << 20;  // that are read again and again

using Requests = std::vector<TransferRequest>;

std::string nameOf(const Transfer& transfer) {
    const bool is_small = transfer.size % (1 << 20) != 0;
    std::string name = transfer.writes ? "put " : "get ";
    name += std::to_string(transfer.batch) + " x " +
            std::to_string(is_small ? transfer.size >> 10 : transfer.size >> 20) +
            (is_small ? " KiB" : " MiB");
    if (transfer.threads != 1) name += ", " + std::to_string(transfer.threads) + " threads";
    return name;
}

void runBatch(TransferEngine& engine, const Requests& requests) {
    bench::EngineApi api(engine);
    bench::BatchRunner runner(api, kStall);
    if (!runner.run(requests).ok()) fail("a batch of the engine's failed; the log above says why");
}

// What one side does in a turn.
struct Side {
    std::vector<double> rates;      // objects a second
    std::vector<double> processor;  // of an object, seconds

    void add(const Cost& cost, uint64_t objects) {
        rates.push_back(static_cast<double>(objects) / cost.seconds);
        processor.push_back(cost.processor / static_cast<double>(objects));
    }
};

void tell(const Transfer& transfer, const Side& engine, const Side& store, Report* report) {
    const std::string name = nameOf(transfer);
    const auto rates = [&](const Side& side) {
        std::vector<double> all = side.rates;
        for (double& rate : all) rate *= static_cast<double>(transfer.size) / 1e6;
        return all;
    };
    std::vector<double> beyond;
    for (size_t i = 0; i < store.processor.size(); ++i) {
        beyond.push_back((store.processor[i] - engine.processor[i]) * 1e6);
    }
    Row ratio{name + ": throughput against the engine's", "", ratios(store.rates, engine.rates)};
    if (transfer.ratio_at_least > 0) ratio.at_least = transfer.ratio_at_least;
    Row processor{name + ": processor time of an object beyond the engine's", "us", beyond};
    if (transfer.processor_at_most > 0) processor.at_most = transfer.processor_at_most;
    report->add(ratio);
    report->add(processor);
    report->add({name + ": throughput", "MB/s", rates(store)});
    report->add({name + ": the engine's", "MB/s", rates(engine)});
}

// Sides take turns; who is first changes.
template <class Engine, class Store>
void alternate(unsigned turns, const Engine& engine, const Store& store) {
    for (unsigned turn = 0; turn < turns; ++turn) {
        if (turn % 2 == 0) engine();
        store();
        if (turn % 2 != 0) engine();
    }
}

void measureGets(const Settings& settings, const Transfer& transfer, Report* report) {
    const size_t of_batch = transfer.size * transfer.batch;
    const size_t batches =
        std::max<size_t>(transfer.threads, std::min(kMostBytes, settings.pool_bytes / 2) /
                                               of_batch / transfer.threads * transfer.threads);
    NewDirectories directories(settings.folder);
    Pool pool(directories.next(), settings.poolFile());
    pool.fill(0, batches * transfer.batch, transfer.size, transfer.batch);

    std::vector<std::unique_ptr<Memory>> memory;
    std::vector<std::vector<std::vector<Slice>>> slices;
    for (size_t thread = 0; thread < transfer.threads; ++thread) {
        memory.push_back(std::make_unique<Memory>(of_batch));
        slices.push_back(memory.back()->slices(transfer.batch, transfer.size));
    }
    std::vector<std::vector<std::string>> keys;
    std::vector<Requests> requests;
    for (size_t batch = 0; batch < batches; ++batch) {
        keys.push_back(keysOf(batch * transfer.batch, transfer.batch));
        requests.push_back(pool.requestsFor(keys.back(), TransferRequest::READ,
                                            memory[batch % transfer.threads]->at(0)));
    }
    const auto turn = [&](Side* side, const auto& get) {
        std::atomic<uint64_t> done{0};
        const Cost cost = runTurn(
            transfer.threads, [&](size_t thread) { get(thread, thread); },
            [&](size_t thread) {
                const auto end = Clock::now() + settings.turn;
                uint64_t count = 0;
                for (size_t batch = thread; Clock::now() < end; ++count) {
                    get(thread, batch);
                    batch += transfer.threads;
                    if (batch >= batches) batch = thread;
                }
                done += count;
            });
        side->add(cost, done * transfer.batch);
    };
    Side engine, store;
    alternate(
        settings.turns,
        [&] {
            turn(&engine, [&](size_t, size_t batch) { runBatch(pool.engine(), requests[batch]); });
        },
        [&] {
            turn(&store, [&](size_t thread, size_t batch) {
                requireAll(pool.client().BatchGetInto(keys[batch], slices[thread]), "getting");
            });
        });
    tell(transfer, engine, store, report);
}

// A file of the engine's own, written from begin to end and again.
class WrittenFile {
 public:
    explicit WrittenFile(const std::string& path, uint64_t bytes) : bytes_(bytes) {
        if (engine_.init(P2PHANDSHAKE, "127.0.0.1:0") != 0) fail("the engine does not join");
        char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
        void* args[] = {address};
        if (engine_.installTransport("nvmeof_generic", args) == nullptr) fail("no transport");
        if (engine_.registerLocalFile(path, bytes, file_) != 0) fail("registering " + path);
    }
    TransferEngine& engine() { return engine_; }
    Requests next(char* memory, size_t count, size_t size) {
        if (at_ + count * size > bytes_) at_ = 0;
        Requests requests;
        for (size_t i = 0; i < count; ++i, at_ += size) {
            requests.push_back(
                {TransferRequest::WRITE, memory + i * size, LOCAL_SEGMENT_ID, at_, size, 0, file_});
        }
        return requests;
    }

 private:
    TransferEngine engine_;
    FileBufferID file_ = 0;
    const uint64_t bytes_;
    uint64_t at_ = 0;
};

void measurePuts(const Settings& settings, const Transfer& transfer, Report* report) {
    const size_t of_batch = transfer.size * transfer.batch;
    // The first batch of each thread is not measured. The pool never gets full.
    const size_t each = std::max<size_t>(
        2, std::min(kMostBytes / 2, settings.pool_bytes / 4) / of_batch / transfer.threads);
    const uint64_t of_turn = each * transfer.threads * of_batch;
    makeFile(settings.otherFile(), settings.pool_bytes);
    WrittenFile file(settings.otherFile(), settings.pool_bytes);
    NewDirectories directories(settings.folder);
    std::optional<Pool> pool;
    uint64_t used = settings.pool_bytes;
    uint64_t next_key = 0;

    std::vector<std::unique_ptr<Memory>> memory;
    std::vector<std::vector<std::vector<Slice>>> slices;
    for (size_t thread = 0; thread < transfer.threads; ++thread) {
        memory.push_back(std::make_unique<Memory>(of_batch));
        slices.push_back(memory.back()->slices(transfer.batch, transfer.size));
    }
    const auto turn = [&](Side* side, const auto& put) {
        const Cost cost = runTurn(
            transfer.threads, [&](size_t thread) { put(thread, 0); },
            [&](size_t thread) {
                for (size_t i = 1; i < each; ++i) put(thread, i);
            });
        side->add(cost, (each - 1) * transfer.threads * transfer.batch);
    };
    Side engine, store;
    alternate(
        settings.turns,
        [&] {
            std::vector<Requests> requests;
            for (size_t i = 0; i < each * transfer.threads; ++i) {
                requests.push_back(
                    file.next(memory[i % transfer.threads]->at(0), transfer.batch, transfer.size));
            }
            turn(&engine, [&](size_t thread, size_t i) {
                runBatch(file.engine(), requests[i * transfer.threads + thread]);
            });
        },
        [&] {
            if (used + of_turn > settings.pool_bytes / 4 * 3) {
                pool.reset();
                pool.emplace(directories.next(), settings.poolFile());
                used = 0;
            }
            used += of_turn;
            std::vector<std::vector<std::string>> keys;
            for (size_t i = 0; i < each * transfer.threads; ++i, next_key += transfer.batch) {
                keys.push_back(keysOf(next_key, transfer.batch));
            }
            turn(&store, [&](size_t thread, size_t i) {
                requireAll(pool->client().BatchPut(keys[i * transfer.threads + thread],
                                                   slices[thread], {}),
                           "putting");
            });
        });
    tell(transfer, engine, store, report);
}

}  // namespace

void measureTransfer(const Settings& settings, const Transfer& transfer, Report* report) {
    makeFile(settings.poolFile(), settings.pool_bytes);
    if (transfer.writes) {
        measurePuts(settings, transfer, report);
    } else {
        measureGets(settings, transfer, report);
    }
}

}  // namespace mooncake::store_bench
