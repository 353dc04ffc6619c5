// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <optional>

#include "cases.h"
#include "pool.h"
#include "turn.h"

namespace mooncake::store_bench {
namespace {

// How long each of `count` puts of every thread took, in milliseconds.
std::vector<double> putTimes(Pool& pool, uint64_t first, size_t count, size_t size,
                             size_t threads) {
    std::vector<std::vector<double>> times(threads);
    (void)runTurn(
        threads, [](size_t) {},
        [&](size_t thread) {
            const Memory memory(size);
            std::vector<Slice> slices{{memory.at(0), size}};
            for (size_t i = 0; i < count; ++i) {
                const std::string key = keyOf(first + i * threads + thread);
                const auto begun = Clock::now();
                if (const auto put = pool.client().Put(key, slices, {}); !put) {
                    failWith("putting", put.error());
                }
                times[thread].push_back(seconds(Clock::now() - begun) * 1e3);
            }
        });
    std::vector<double> all;
    for (const auto& some : times) all.insert(all.end(), some.begin(), some.end());
    return all;
}

}  // namespace

void measureFullPool(const Settings& settings, size_t size, size_t threads, Report* report) {
    makeFile(settings.poolFile(), settings.pool_bytes);
    makeFile(settings.otherFile(), settings.pool_bytes);
    NewDirectories directories(settings.folder);
    Pool full(directories.next(), settings.otherFile());
    uint64_t next_key = 0;
    const size_t objects = settings.pool_bytes / size;
    full.fill(next_key, objects, size, std::max<size_t>(1, (64 << 20) / size));
    next_key += objects;

    const size_t of_turn = objects / 4 / threads;  // of each thread
    std::optional<Pool> empty;
    std::vector<double> with_space, without, medians_with, medians_without;
    for (unsigned turn = 0; turn < settings.turns; ++turn) {
        for (const bool is_full : {turn % 2 == 0, turn % 2 != 0}) {
            if (!is_full) {
                empty.reset();
                empty.emplace(directories.next(), settings.poolFile());
            }
            const auto times = putTimes(is_full ? full : *empty, next_key, of_turn, size, threads);
            next_key += of_turn * threads;
            (is_full ? without : with_space).push_back(quantile(times, 0.99));
            (is_full ? medians_without : medians_with).push_back(median(times));
        }
    }
    Row ratio{"put into a full pool: 99 % of the times, against a pool with space", "",
              ratios(without, with_space)};
    ratio.at_most = 1.5;
    report->add(ratio);
    report->add({"put into a full pool: 99 % end within", "ms", without});
    report->add({"put into a pool with space: 99 % end within", "ms", with_space});
    report->add({"put into a full pool: half of them end within", "ms", medians_without});
    report->add({"put into a pool with space: half of them end within", "ms", medians_with});
    const ClientStatistics counted = full.client().Statistics();
    report->add(
        {"put into a full pool: puts that waited for an eviction, of 1000",
         "",
         {1000.0 * static_cast<double>(counted.put_waits) / static_cast<double>(counted.puts)}});
}

}  // namespace mooncake::store_bench
