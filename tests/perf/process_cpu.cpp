// SPDX-License-Identifier: Apache-2.0
// process_cpu <from> <to> <file> <program> [arguments]
//
// Runs a program and writes to the file how much processor time all its threads took between two
// moments, in seconds after its start: in percent of that time, as fio gives it. What a program
// says of itself can leave threads out, as fio does with its own main one.
// Exit status: the program's; 1 when it ended before the second moment or could not be started.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

void check(int error, const std::string& what) {
    if (error != 0) throw std::runtime_error(what + ": " + strerror(error));
}

struct Sample {
    explicit Sample(pid_t process) {
        clockid_t clock;
        check(clock_getcpuclockid(process, &clock), "the program's processor time");
        timespec time{};
        check(clock_gettime(clock, &time) == 0 ? 0 : errno, "the program's processor time");
        cpu = static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    }
    double cpu = 0;
    Clock::time_point when = Clock::now();
};

int run(double from, double to, const char* file, char** program) {
    const auto start = Clock::now();
    const pid_t process = fork();
    if (process < 0) check(errno, "fork");
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(program[0], program);
        std::cerr << program[0] << ": " << strerror(errno) << '\n';
        _exit(127);
    }
    std::this_thread::sleep_until(start + Seconds(from));
    const Sample first(process);
    std::this_thread::sleep_until(start + Seconds(to));
    const Sample second(process);
    int status = 0;
    // Looked for before it is waited for: the clock of one that has ended still tells its time.
    const bool tooEarly = waitpid(process, &status, WNOHANG) != 0;
    if (tooEarly) throw std::runtime_error("the program ended before it was measured");
    if (waitpid(process, &status, 0) < 0) check(errno, "waitpid");
    const double share = (second.cpu - first.cpu) / Seconds(second.when - first.when).count() * 100;
    if (!(std::ofstream(file) << share << '\n')) check(errno, file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) try {
    const double from = argc > 4 ? atof(argv[1]) : 0, to = argc > 4 ? atof(argv[2]) : 0;
    if (!(to > from)) {
        std::cerr << "usage: process_cpu <from> <to> <file> <program> [arguments]\n";
        return 2;
    }
    return run(from, to, argv[3], argv + 4);
} catch (const std::exception& e) {
    std::cerr << "process_cpu: " << e.what() << '\n';
    return 1;
}
