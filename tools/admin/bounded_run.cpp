// SPDX-License-Identifier: Apache-2.0
#include "bounded_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <ostream>
#include <sstream>
#include <string>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

using Clock = std::chrono::steady_clock;

/// What the child says first; then come the texts.
struct Header {
    int32_t status;
    uint32_t outBytes, errBytes;
};

bool sendAll(int fd, const void* data, size_t length) {
    const char* at = static_cast<const char*>(data);
    while (length > 0) {
        const ssize_t sent = ::write(fd, at, length);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        length -= static_cast<size_t>(sent);
    }
    return true;
}

enum class Received { kAll, kEnd, kLate };

Received receive(int fd, std::string& text, size_t length,
                 std::optional<Clock::time_point> deadline) {
    text.clear();
    char piece[4096];
    while (text.size() < length) {
        int wait = -1;
        if (deadline) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
            if (left.count() <= 0) return Received::kLate;
            wait = static_cast<int>(left.count());
        }
        pollfd ready{fd, POLLIN, 0};
        if (::poll(&ready, 1, wait) <= 0) continue;
        const ssize_t got = ::read(fd, piece, std::min(sizeof(piece), length - text.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return Received::kEnd;
        text.append(piece, static_cast<size_t>(got));
    }
    return Received::kAll;
}

[[noreturn]] void runChild(const Work& work, int pipe) noexcept {
    std::ostringstream out, err;
    int status = 1;
    try {
        status = work(out, err);
    } catch (const std::exception& error) {
        err << error.what() << '\n';
    }
    // A thread that the kernel holds keeps them open; whoever reads them would wait for it.
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing, fd);
    const std::string outText = out.str(), errText = err.str();
    const Header header{status, static_cast<uint32_t>(outText.size()),
                        static_cast<uint32_t>(errText.size())};
    const bool sent = sendAll(pipe, &header, sizeof(header)) &&
                      sendAll(pipe, outText.data(), outText.size()) &&
                      sendAll(pipe, errText.data(), errText.size());
    ::_exit(sent ? 0 : 1);
}

// How a child ended that has not said all.
std::string endOf(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const std::string what = "the process that does the work has ended before its time";
    if (!WIFSIGNALED(status)) return what;
    return what + ", by signal " + std::to_string(WTERMSIG(status)) + " (" +
           ::strsignal(WTERMSIG(status)) +
           "): somebody sent it, or the kernel was short of memory, which 'dmesg' tells then";
}

}  // namespace

int runBounded(const Work& work, std::optional<std::chrono::milliseconds> limit, std::ostream& out,
               std::ostream& err) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        err << "cannot make a pipe: " << std::strerror(errno) << '\n';
        return 1;
    }
    UniqueFd from(ends[0]), to(ends[1]);
    out.flush();
    err.flush();
    const pid_t child = ::fork();
    if (child < 0) {
        err << "cannot start a process: " << std::strerror(errno) << '\n';
        return 1;
    }
    if (child == 0) {
        from.reset();
        runChild(work, to.get());
    }
    to.reset();
    std::optional<Clock::time_point> deadline;
    if (limit) deadline = Clock::now() + *limit;
    std::string text, outText, errText;
    Header header{};
    Received received = receive(from.get(), text, sizeof(header), deadline);
    if (received == Received::kAll) {
        std::memcpy(&header, text.data(), sizeof(header));
        received = receive(from.get(), outText, header.outBytes, deadline);
    }
    if (received == Received::kAll) {
        received = receive(from.get(), errText, header.errBytes, deadline);
    }
    if (received == Received::kEnd) {
        err << endOf(child) << '\n';
        return 1;
    }
    if (received == Received::kLate) {
        ::kill(child, SIGKILL);
        err << "the kernel does not answer: a file on a disk that hangs is just being taken back; "
               "'cat /proc/*/task/*/stack' shows who waits in nvmet_ns_disable\n";
        return 1;
    }
    out << outText;
    err << errText;
    // If it cannot end yet, it has init for a parent soon.
    ::waitpid(child, nullptr, WNOHANG);
    return header.status;
}

}  // namespace mooncake::nvmeof_generic::admin
