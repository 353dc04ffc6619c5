// SPDX-License-Identifier: Apache-2.0
// What the store's way of data costs beyond the engine's: the same requests in batches, once
// through the engine alone and once as objects with checksums, turn and turn about in one process.
// With the plugin on local files, or the one whose I/O ends at once (MC_TRANSPORT_PLUGIN_PATH).
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "data_path.h"
#include "transfer_engine.h"

using namespace mooncake;
using namespace mooncake::store;

namespace {

using Clock = std::chrono::steady_clock;

double cpuSeconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void require(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string(what) + " failed; the log above says why");
}

class NoPages : public Describer {
 public:
    std::span<PageWrite> pages() noexcept override { return {}; }
};

struct Batch {
    Batch(TransferEngine& e, FileBufferID file, size_t objects, size_t size)
        : engine(e),
          memory(static_cast<std::byte*>(std::aligned_alloc(4096, objects * size))),
          slices(objects),
          extents(objects) {
        for (size_t i = 0; i < objects * size; ++i)
            memory[i] = static_cast<std::byte>(i * 7 + i / 4096);
        for (size_t i = 0; i < objects; ++i) {
            slices[i] = {memory + i * size, size};
            extents[i] = {{LOCAL_SEGMENT_ID, file, i * size}, size, {}};
            gets.push_back({{&slices[i], 1}, {&extents[i], 1}});
            puts.push_back({{&slices[i], 1}, {&extents[i], 1}});
            requests.push_back(
                {TransferRequest::READ, slices[i].ptr, LOCAL_SEGMENT_ID, i * size, size, 0, file});
        }
    }
    ~Batch() { std::free(memory); }

    void raw(TransferRequest::OpCode op) {
        for (TransferRequest& request : requests) request.opcode = op;
        const BatchID batch = engine.allocateBatchID(requests.size());
        require(engine.submitTransfer(batch, requests).ok(), "submitting");
        TransferStatus status{};
        for (;;) {
            require(engine.getBatchTransferStatus(batch, status).ok(), "asking for the status");
            if (status.s != TransferStatusEnum::WAITING) break;
            engine.waitForProgress(std::chrono::milliseconds(10));
        }
        require(status.s == TransferStatusEnum::COMPLETED, "moving bytes");
        engine.freeBatchID(batch);
    }
    template <class Items>
    static void check(const Items& items) {
        for (const auto& item : items) require(item.outcome == Outcome::kOk, "an object");
    }

    TransferEngine& engine;
    std::byte* const memory;
    std::vector<Slice> slices;
    std::vector<ExtentIo> extents;
    std::vector<GetItem> gets;
    std::vector<PutItem> puts;
    std::vector<TransferRequest> requests;
};

struct Cost {
    double seconds;
    double cpu;
};

template <class Work>
Cost costOf(std::chrono::milliseconds time, const Work& work) {
    const auto begun = Clock::now();
    const double cpu = cpuSeconds();
    size_t count = 0;
    while (Clock::now() - begun < time) {
        work();
        ++count;
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    return {seconds / static_cast<double>(count),
            (cpuSeconds() - cpu) / static_cast<double>(count)};
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

int run(const std::string& path, int turns) {
    TransferEngine engine;
    require(engine.init(P2PHANDSHAKE, "127.0.0.1:0") == 0, "joining");
    char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[] = {address};
    require(engine.installTransport("nvmeof_generic", args) != nullptr, "installing");
    FileBufferID file = 0;
    require(engine.registerLocalFile(path, std::filesystem::file_size(path), file) == 0,
            "registering");
    DataPath data(engine);
    NoPages none;
    const auto ever = Clock::time_point::max();
    std::cout << "case            throughput to the engine's   beyond it, an object (us): "
                 "processor   time\n";
    for (const auto& [objects, size] : {std::pair<size_t, size_t>{64, 1 << 20}, {256, 4096}}) {
        Batch batch(engine, file, objects, size);
        data.put(batch.puts, none, ever);
        for (const bool writes : {false, true}) {
            std::vector<double> ratio, cpu, wall;
            for (int turn = 0; turn < turns; ++turn) {
                const std::chrono::milliseconds time(200);
                const Cost raw = costOf(time, [&] {
                    batch.raw(writes ? TransferRequest::WRITE : TransferRequest::READ);
                });
                const Cost store = costOf(time, [&] {
                    if (writes) {
                        data.put(batch.puts, none, ever);
                        Batch::check(batch.puts);
                    } else {
                        data.get(batch.gets, ever);
                        Batch::check(batch.gets);
                    }
                });
                const double each = 1e6 / static_cast<double>(objects);
                ratio.push_back(raw.seconds / store.seconds);
                cpu.push_back((store.cpu - raw.cpu) * each);
                wall.push_back((store.seconds - raw.seconds) * each);
            }
            std::cout << std::fixed << std::setprecision(2) << (writes ? "put " : "get ") << objects
                      << " x " << size << "   " << median(ratio) << " ("
                      << *std::min_element(ratio.begin(), ratio.end()) << " - "
                      << *std::max_element(ratio.begin(), ratio.end()) << ")   " << median(cpu)
                      << "   " << median(wall) << std::endl;
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: store_data_probe <file of 64 MiB or more> [turns]\n";
        return 1;
    }
    try {
        return run(argv[1], argc > 2 ? std::atoi(argv[2]) : 10);
    } catch (const std::exception& error) {
        std::cerr << "store_data_probe: " << error.what() << "\n";
        return 1;
    }
}
