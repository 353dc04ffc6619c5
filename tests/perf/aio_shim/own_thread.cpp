// SPDX-License-Identifier: Apache-2.0
#include "own_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace aio_shim {
namespace {

struct Started {
    clockid_t clock;
    pid_t id;
};

// Never destroyed: the threads outlive static objects.
std::mutex& mutex() {
    static auto* const made = new std::mutex;
    return *made;
}
std::vector<Started>& started() {
    static auto* const made = new std::vector<Started>;
    return *made;
}

}  // namespace

void startThread(const char* name, std::function<void()> body) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    std::thread thread([name, body = std::move(body)] {
        pthread_setname_np(pthread_self(), name);
        // Waits end when they should, not when it suits the timer.
        prctl(PR_SET_TIMERSLACK, 1);
        Started me{};
        pthread_getcpuclockid(pthread_self(), &me.clock);
        me.id = gettid();
        {
            const std::lock_guard lock(mutex());
            started().push_back(me);
        }
        body();
    });
    thread.detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

double cpuSecondsOfThreads() {
    const std::lock_guard lock(mutex());
    double seconds = 0;
    for (const Started& thread : started()) {
        timespec time{};
        clock_gettime(thread.clock, &time);
        seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    }
    return seconds;
}

uint64_t switchesOfThreads() {
    const std::lock_guard lock(mutex());
    uint64_t switches = 0;
    for (const Started& thread : started()) {
        std::ifstream status("/proc/self/task/" + std::to_string(thread.id) + "/status");
        for (std::string word; status >> word;) {
            if (word != "voluntary_ctxt_switches:") continue;
            uint64_t count = 0;
            status >> count;
            switches += count;
        }
    }
    return switches;
}

}  // namespace aio_shim
