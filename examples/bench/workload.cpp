// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <latch>
#include <optional>
#include <system_error>
#include <thread>

namespace mooncake::bench {
namespace {

/// Readable once every thread has ended.
class DoneEvent {
 public:
    explicit DoneEvent(uint64_t threads) : left_(threads), fd_(eventfd(0, EFD_CLOEXEC)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    ~DoneEvent() { close(fd_); }
    DoneEvent(const DoneEvent&) = delete;
    DoneEvent& operator=(const DoneEvent&) = delete;

    void threadEnded() {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) eventfd_write(fd_, 1);
    }
    int fd() const { return fd_; }

 private:
    std::atomic<uint64_t> left_;
    int fd_;
};

}  // namespace

MaybeFailure Workload::create(TransferApi& api, const WorkloadSpec& spec,
                              std::unique_ptr<Workload>& workload) {
    if (auto failure = checkMemory(Worker::memoryBytes(spec) * spec.threads)) return failure;
    std::unique_ptr<Workload> made(new Workload(spec));
    for (uint64_t thread = 0; thread < spec.threads; ++thread) {
        std::unique_ptr<Worker> worker;
        if (auto failure = Worker::create(api, made->spec_, thread, made->shared_, worker)) {
            return failure;
        }
        made->workers_.push_back(std::move(worker));
    }
    for (const WorkFile& file : made->spec_.files) {
        if (auto failure = made->workers_.front()->probe(file)) return failure;
    }
    workload = std::move(made);
    return std::nullopt;
}

uint64_t Workload::completedBytes() const {
    uint64_t bytes = 0;
    for (const auto& worker : workers_) bytes += worker->completedBytes();
    return bytes;
}

void Workload::runPhase(Phase phase, const Watch& watch) {
    DoneEvent done(workers_.size());
    std::latch start(static_cast<std::ptrdiff_t>(workers_.size()));
    std::vector<std::jthread> threads;
    threads.reserve(workers_.size());
    const auto body = [&](Worker& worker) {
        start.arrive_and_wait();
        try {
            if (phase == Phase::kTransfer) {
                worker.transfer();
            } else {
                worker.readBack();
            }
        } catch (const std::exception& error) {
            requestStop();
            shared_.failures.add(std::string("a thread of the bench ended: ") + error.what());
        }
        done.threadEnded();
    };
    for (const auto& worker : workers_) {
        try {
            threads.emplace_back(body, std::ref(*worker));
        } catch (const std::system_error& error) {
            // The others must not wait for a thread that never comes.
            requestStop();
            shared_.failures.add(std::string("cannot start a thread: ") + error.what());
            start.count_down();
            done.threadEnded();
        }
    }
    watch(*this, phase, done.fd());
}

RunResult Workload::run(const Watch& watch) {
    runPhase(Phase::kTransfer, watch);
    RunResult run = result();
    if (!spec_.verify || run.failed > 0) return run;
    if (writes(spec_.operation)) {
        shared_.stop.store(false, std::memory_order_relaxed);
        runPhase(Phase::kReadBack, watch);
        run = result();
        run.verified = run.failed == 0 && !shared_.stop.load(std::memory_order_relaxed);
    } else {
        run.verified = true;
    }
    return run;
}

RunResult Workload::result() const {
    RunResult run;
    run.shape = {spec_.blockSize, spec_.batchSize, spec_.window, spec_.threads};
    Worker::Clock::time_point begun = Worker::Clock::time_point::max();
    Worker::Clock::time_point ended = Worker::Clock::time_point::min();
    CpuTime cpuAtBegin;
    CpuTime cpuAtEnd;
    std::optional<SubmitStats> submitsAtBegin;
    std::optional<SubmitStats> submitsAtEnd;
    for (const auto& worker : workers_) {
        run.batches += worker->batches();
        run.tally += worker->tally();
        run.figures += worker->figures();
        run.stuck |= worker->stuck();
        if (worker->begun() == Worker::Clock::time_point()) continue;  // it never measured
        if (worker->begun() < begun) {
            begun = worker->begun();
            cpuAtBegin = worker->cpuAtBegin();
            submitsAtBegin = worker->submitsAtBegin();
        }
        if (worker->ended() > ended) {
            ended = worker->ended();
            cpuAtEnd = worker->cpuAtEnd();
            submitsAtEnd = worker->submitsAtEnd();
        }
    }
    run.cpu = cpuAtEnd - cpuAtBegin;
    if (submitsAtBegin && submitsAtEnd) run.submits = *submitsAtEnd - *submitsAtBegin;
    run.completedBytes = completedBytes();
    if (ended > begun) run.seconds = std::chrono::duration<double>(ended - begun).count();
    run.failed = shared_.failures.count();
    run.failures = shared_.failures.lines();
    run.mismatches = shared_.mismatches.count();
    run.mismatchLines = shared_.mismatches.lines();
    return run;
}

}  // namespace mooncake::bench
