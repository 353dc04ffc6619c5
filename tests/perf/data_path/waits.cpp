// SPDX-License-Identifier: Apache-2.0
// waitForProgress promises to return once a task may have ended since the thread's last call. How
// long it takes where one has, in the ways in which threads can be in each other's way. The shim
// delays I/O by kDelay, and holds that on file 1 for ever.
#include <algorithm>
#include <atomic>
#include <memory>

#include "nodes.h"

namespace mooncake::probe {
namespace {

constexpr std::chrono::milliseconds kDelay{2};   // the shim's
constexpr std::chrono::milliseconds kLimit{10};  // what an engine waits at most

using Reads = std::vector<std::unique_ptr<Read>>;

Reads makeReads(TransferEngine& engine, SegmentHandle segment, FileBufferID file, size_t count) {
    Reads reads;
    for (size_t i = 0; i < count; ++i) {
        reads.push_back(std::make_unique<Read>(engine, segment, file));
    }
    return reads;
}

void finish(const Reads& reads) {
    for (const auto& read : reads) {
        if (read->busy()) read->finish();
    }
}

double timedWait(TransferEngine& engine) {
    const auto begun = Clock::now();
    engine.waitForProgress(kLimit);
    return milliseconds(Clock::now() - begun);
}

/// Submits all, waits until they have ended in the kernel, asks for the first, which takes the
/// completions of all: the others have ended since.
double endedBefore(TransferEngine& engine, const Reads& reads) {
    for (size_t i = 0; i < reads.size(); ++i) reads[i]->begin(i * kBlock);
    std::this_thread::sleep_for(kDelay + std::chrono::milliseconds(3));
    while (!reads[0]->ended()) {
    }
    const double time = timedWait(engine);
    finish(reads);
    return time;
}

/// The same where the thread uses another engine in between, which takes nothing away.
double twoEngines(TransferEngine& engine, const Reads& reads, TransferEngine& other,
                  const Reads& others) {
    for (size_t i = 0; i < reads.size(); ++i) reads[i]->begin(i * kBlock);
    others[0]->begin(0);
    std::this_thread::sleep_for(kDelay + std::chrono::milliseconds(3));
    while (!reads[0]->ended()) {
    }
    while (!others[0]->ended()) {
    }
    other.waitForProgress(std::chrono::nanoseconds(0));
    const double time = timedWait(engine);
    finish(reads);
    return time;
}

/// A loop that handles each task that has ended for some microseconds before it asks for the next,
/// and waits when none has. @return the longest wait
double selectLoop(TransferEngine& engine, const Reads& reads) {
    for (size_t i = 0; i < reads.size(); ++i) reads[i]->begin(i * 2 * kBlock);
    double longest = 0;
    for (size_t left = reads.size(); left > 0;) {
        for (const auto& read : reads) {
            if (!read->busy() || !read->ended()) continue;
            --left;
            const auto end = Clock::now() + std::chrono::microseconds(50);
            while (Clock::now() < end) {
            }
        }
        if (left > 0) longest = std::max(longest, timedWait(engine));
    }
    return std::max(0.0, longest - milliseconds(kDelay));
}

/// Threads whose requests have all ended wait one after the other, while the others ask: whose
/// completion somebody else has taken is told so all the same. @return the waits of all
std::vector<double> manyThreads(TransferEngine& engine, SegmentHandle segment, FileBufferID file) {
    constexpr int kThreads = 36;
    std::atomic<int> begun{0}, turn{-1};
    std::vector<double> times(kThreads);
    std::vector<std::jthread> threads;
    for (int me = 0; me < kThreads; ++me) {
        threads.emplace_back([&, me] {
            Read read(engine, segment, file);
            read.run(0);
            read.begin(kBlock);
            ++begun;
            for (int now = 0; (now = turn.load()) != me;) turn.wait(now);
            // Every second asks at once, and takes what it finds; the others wait.
            if (me % 2 == 1) times[static_cast<size_t>(me)] = timedWait(engine);
            read.finish();
            turn = me + 1;
            turn.notify_all();
            // Nobody leaves a place to a thread that comes after.
            for (int now = 0; (now = turn.load()) != kThreads;) turn.wait(now);
        });
    }
    while (begun < kThreads) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(kDelay + std::chrono::milliseconds(3));
    turn = 0;
    turn.notify_all();
    threads.clear();
    std::vector<double> waited;
    for (size_t i = 1; i < times.size(); i += 2) waited.push_back(times[i]);
    return waited;
}

/// Somebody submits, another thread waits for what ends. @return how long after the device's end
/// that one knew
double consumer(Read& read, std::atomic<Read*>& mailbox, std::atomic<int64_t>& seen) {
    const auto begun = Clock::now();
    read.begin(0);
    mailbox = &read;
    mailbox.notify_all();
    mailbox.wait(&read);
    const Clock::time_point ended{Clock::duration(seen.load())};
    return std::max(0.0, milliseconds(ended - begun) - milliseconds(kDelay));
}

}  // namespace

void waits(const Arguments& arguments) {
    const auto paths = makeFiles(arguments.folder, 2);
    Target target(paths);
    Initiator first, second;
    const SegmentHandle segment = first.open(target.name);
    const SegmentHandle ofSecond = second.open(target.name);
    TransferEngine& engine = first.engine;
    const FileBufferID file = target.files[0];
    std::map<std::string, std::vector<double>> times;
    // Each scenario on a thread of its own: what one has left behind is not the next one's.
    const auto measure = [&](const std::string& name, const auto& scenario) {
        std::jthread([&] {
            const auto end = Clock::now() + arguments.time / 6;
            while (Clock::now() < end || times[name].size() < 10) scenario(times[name]);
        });
    };
    measure("own", [&, reads = makeReads(engine, segment, file, 2)](auto& into) {
        into.push_back(endedBefore(engine, reads));
    });
    measure("select_loop", [&, reads = makeReads(engine, segment, file, 16)](auto& into) {
        into.push_back(selectLoop(engine, reads));
    });
    measure("two_engines", [&, reads = makeReads(engine, segment, file, 2),
                            others = makeReads(second.engine, ofSecond, file, 1)](auto& into) {
        into.push_back(twoEngines(engine, reads, second.engine, others));
    });
    measure("many_threads", [&](auto& into) {
        for (const double time : manyThreads(engine, segment, file)) into.push_back(time);
    });

    // Beside a device that hangs.
    std::atomic<bool> held{false}, stop{false};
    Read hung(engine, segment, target.files[1]);
    std::jthread hanging([&] {
        hung.begin(0);
        held = true;
        held.notify_all();
        stop.wait(false);
    });
    held.wait(false);
    std::atomic<Read*> mailbox{nullptr};
    std::atomic<int64_t> seen{0};
    std::jthread completions([&] {
        for (Read* read = nullptr;;) {
            mailbox.wait(nullptr);
            read = mailbox;
            if (stop) return;
            while (!read->ended()) engine.waitForProgress(kLimit);
            seen = Clock::now().time_since_epoch().count();
            mailbox = nullptr;
            mailbox.notify_all();
        }
    });
    measure("consumer_beside_hung",
            [&, read = std::make_shared<Read>(engine, segment, file)](auto& into) {
                into.push_back(consumer(*read, mailbox, seen));
            });
    measure("own_beside_hung", [&, reads = makeReads(engine, segment, file, 2)](auto& into) {
        into.push_back(endedBefore(engine, reads));
    });
    stop = true;
    stop.notify_all();
    mailbox = &hung;  // any, to wake it
    mailbox.notify_all();
    hanging.join();
    completions.join();
    releaseHeld();
    hung.finish();
    std::map<std::string, double> values;
    for (const auto& [name, all] : times) {
        values["wait_ms_" + name] = quantile(all, 0.95);
        values["wait_ms_median_" + name] = quantile(all, 0.5);
    }
    report(values);
}

}  // namespace mooncake::probe
