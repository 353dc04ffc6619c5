// SPDX-License-Identifier: Apache-2.0
#include "bench/run_monitor.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace mooncake::bench {
namespace {

constexpr std::chrono::seconds kInterval{1};
constexpr char kClearLine[] = "\r\x1b[K";

double secondsOf(std::chrono::steady_clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

RunMonitor::RunMonitor(const Options& options, SignalWatch& signals)
    : options_(options), signals_(signals), terminal_(isatty(STDERR_FILENO) == 1) {}

void RunMonitor::watch(Workload& workload, Phase phase, int doneFd) {
    begun_ = shownAt_ = Clock::now();
    shownBytes_ = workload.completedBytes();
    Clock::time_point next = begun_ + kInterval;
    bool shown = false;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
        pollfd entries[] = {{doneFd, POLLIN, 0}, {signals_.fd(), POLLIN, 0}};
        // Without a terminal there is nothing to do every second.
        const int timeout = terminal_ ? static_cast<int>(std::max<int64_t>(0, left.count())) : -1;
        poll(entries, 2, timeout);
        if (entries[0].revents != 0) break;
        if (entries[1].revents != 0) {
            signals_.take();
            stopped_ = true;
            workload.requestStop();
            std::fprintf(stderr,
                         "%sStopping when the batches under way have ended; a second signal ends "
                         "the program at once\n",
                         shown ? kClearLine : "");
        }
        if (terminal_ && Clock::now() >= next) {
            showProgress(workload, phase);
            shown = true;
            next += kInterval;
        }
    }
    if (shown) std::fputs(kClearLine, stderr);
}

void RunMonitor::showProgress(const Workload& workload, Phase phase) {
    const Clock::time_point now = Clock::now();
    if (phase == Phase::kReadBack) {
        std::fprintf(stderr, "%s%5.0f s  reading back and verifying", kClearLine,
                     secondsOf(now - begun_));
        return;
    }
    const uint64_t bytes = workload.completedBytes();
    const auto sinceBegin = secondsOf(now - begun_);
    if (sinceBegin < static_cast<double>(options_.rampSeconds)) {
        std::fprintf(stderr, "%s%5.0f s  warming up", kClearLine, sinceBegin);
        return;
    }
    const auto rate = [&](uint64_t moved, Clock::duration time) {
        return formatThroughput(moved, secondsOf(time), options_.reportUnit,
                                options_.reportPrecision);
    };
    std::fprintf(stderr, "%s%5.0f of %llu s  now %s  average %s", kClearLine,
                 sinceBegin - static_cast<double>(options_.rampSeconds),
                 static_cast<unsigned long long>(options_.durationSeconds),
                 rate(bytes - shownBytes_, now - shownAt_).c_str(),
                 rate(bytes, now - begun_ - std::chrono::seconds(options_.rampSeconds)).c_str());
    shownAt_ = now;
    shownBytes_ = bytes;
}

}  // namespace mooncake::bench
