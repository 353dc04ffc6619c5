// SPDX-License-Identifier: Apache-2.0
// What a store's directory costs.
//
//   directory_bench <directory> [objects] [seconds] [process id of etcd]
//
// Makes `objects` entries (100,000) with keys of 100 bytes and one extent each, then measures how
// long it takes to tell which of 20,000 keys there are, from 16 threads how many entries are set in
// `seconds` (5) by calls of 1 and of 64, and how long it takes to look up 256 keys. With the
// process id of a server on this machine it tells that one's processor time, too. The directory
// should be a new one; what its server holds then is measured from outside.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "directory.h"

using namespace mooncake::store;
using std::chrono::steady_clock;

namespace {

Deadline soon() {
    return steady_clock::now() + std::chrono::minutes(10);
}

template <class T>
T need(Result<T> result) {
    if (result) return std::move(*result);
    std::fprintf(stderr, "directory_bench: %s\n", result.error().message.c_str());
    std::exit(1);
}

// Of all threads of the process; 0 is this one.
double processorMilliseconds(pid_t process) {
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
    timespec time = {};
    if (process != 0 && clock_getcpuclockid(process, &clock) != 0) return 0;
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

double milliseconds(steady_clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

// 100 bytes in no order, as hashes are.
std::string keyOf(uint64_t number) {
    std::mt19937_64 random(number);
    char hash[65];
    std::snprintf(
        hash, sizeof(hash), "%016llx%016llx%016llx%016llx",
        static_cast<unsigned long long>(random()), static_cast<unsigned long long>(random()),
        static_cast<unsigned long long>(random()), static_cast<unsigned long long>(number));
    return "model@tp_rank:0@pcp0@dcp0@pp_rank:0@" + std::string(hash, 64);
}

// Writes objects of 64 KiB into regions of 64 MiB.
class Writer {
 public:
    Writer(Directory* directory, FileNumber file) : directory_(directory), file_(file) {}

    std::vector<Change> next(size_t count, std::atomic<uint64_t>* number) {
        std::vector<Change> changes;
        for (size_t i = 0; i < count; ++i) {
            if (region_.generation == 0 || used_ == 1024) {
                region_ = need(directory_->takeRegion(file_, soon()));
                used_ = 0;
            }
            ObjectEntry entry;
            entry.size = 65536;
            entry.time_ms = 1790000000000;
            const uint64_t noise = *number * 0x9e3779b97f4a7c15;
            entry.replicas = {
                {{region_.id, region_.generation, 65536 * used_++, 65536, {noise, ~noise * 3}}}};
            changes.push_back({keyOf((*number)++), std::move(entry)});
        }
        return changes;
    }

 private:
    Directory* const directory_;
    const FileNumber file_;
    Region region_;
    uint64_t used_ = 0;
};

void measureCommits(Directory* directory, FileNumber file, std::atomic<uint64_t>* number,
                    size_t batch, int seconds) {
    constexpr int kThreads = 16;
    std::vector<std::thread> threads;
    std::atomic<uint64_t> keys{0};
    const uint64_t groups = directory->statistics().groups;
    const auto begin = steady_clock::now();
    const auto end = begin + std::chrono::seconds(seconds);
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            Writer writer(directory, file);
            while (steady_clock::now() < end) {
                const auto changes = writer.next(batch, number);
                for (const ChangeOutcome outcome : need(directory->commit(changes, soon()))) {
                    keys += outcome == ChangeOutcome::kDone ? 1 : 0;
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
    const double time = milliseconds(steady_clock::now() - begin) / 1000;
    std::printf("commit, %d threads, calls of %zu: %.0f keys/s, %.0f groups/s\n", kThreads, batch,
                static_cast<double>(keys) / time,
                static_cast<double>(directory->statistics().groups - groups) / time);
}

template <class Call>
void measureReads(const char* name, size_t count, uint64_t objects, pid_t server,
                  const Call& call) {
    std::mt19937_64 random(1);
    std::vector<double> times;
    double processor = 0, of_server = 0;
    for (int i = 0; i < 11; ++i) {
        std::vector<std::string> keys;
        // Half of them are there.
        for (size_t j = 0; j < count; ++j) keys.push_back(keyOf(random() % (2 * objects)));
        const auto begin = steady_clock::now();
        const double before = processorMilliseconds(0),
                     server_before = processorMilliseconds(server);
        call(keys);
        processor += (processorMilliseconds(0) - before) / 11;
        of_server += (processorMilliseconds(server) - server_before) / 11;
        times.push_back(milliseconds(steady_clock::now() - begin));
    }
    std::sort(times.begin(), times.end());
    std::printf("%s of %zu keys: median %.2f ms, least %.2f, most %.2f; %.2f ms of processor", name,
                count, times[5], times[0], times[10], processor);
    if (server != 0) std::printf(", %.2f of the server", of_server);
    std::printf("\n");
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) {
        std::fprintf(stderr,
                     "directory_bench <directory> [objects] [seconds] [process id of etcd]\n");
        return 2;
    }
    const uint64_t objects = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 100000;
    const int seconds = count > 3 ? std::atoi(arguments[3]) : 5;
    const pid_t server = count > 4 ? std::atoi(arguments[4]) : 0;
    const auto directory = need(Directory::open(arguments[1], {}, soon()));
    need(directory->join("bench", soon()));
    FileDescription description;
    description.uuid = Uuid::random();
    description.regions = 1 << 20;
    description.region_size = 64 << 20;
    description.size = uint64_t{description.regions} * description.region_size;
    const FileNumber file = need(directory->addFile(description, soon())).number;

    std::atomic<uint64_t> number{0};
    {
        Writer writer(directory.get(), file);
        const auto begin = steady_clock::now();
        while (number < objects) {
            need(directory->commit(writer.next(std::min<uint64_t>(1000, objects - number), &number),
                                   soon()));
        }
        std::printf("%llu entries made in %.1f s\n", static_cast<unsigned long long>(objects),
                    milliseconds(steady_clock::now() - begin) / 1000);
    }
    measureReads("exists", 20000, objects, server, [&](const std::vector<std::string>& keys) {
        need(directory->exists(keys, nullptr, soon()));
    });
    measureReads("exists with a filter", 20000, objects, server,
                 [&](const std::vector<std::string>& keys) {
                     need(directory->exists(
                         keys, [](const Extent&) { return true; }, soon()));
                 });
    measureReads("lookup", 256, objects, server, [&](const std::vector<std::string>& keys) {
        need(directory->lookup(keys, soon()));
    });
    if (seconds > 0) {
        for (const size_t batch : {1, 64}) {
            measureCommits(directory.get(), file, &number, batch, seconds);
        }
    }
    for (const Finding& finding : need(directory->check(soon()))) {
        std::printf("%s\n", finding.text.c_str());
    }
}
