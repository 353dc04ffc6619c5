// SPDX-License-Identifier: Apache-2.0
#include "controller_lease.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

int tryLock(int fd, int kind) {
    while (flock(fd, kind | LOCK_NB) != 0) {
        if (errno != EINTR) return errno;
    }
    return 0;
}

// A lease and its locks are this process's: a forked child has none of them.
ProcessFd openHere(int dir, const char* name, int flags) {
    return ProcessFd::open([&] { return openat(dir, name, O_RDONLY | O_CLOEXEC | flags); });
}

Result<ProcessFd> enterGate(int dir, const std::string& name, Poll& poll) {
    auto gate = openHere(dir, "transport", 0);
    if (!gate.valid()) return makeError(errno, "cannot open controller " + name);
    while (const int code = tryLock(gate.get(), LOCK_EX)) {
        if (code != EWOULDBLOCK) return makeError(code, "cannot lock controller " + name);
        if (!poll.wait()) {
            return makeError(poll.stopped() ? ECANCELED : ETIMEDOUT,
                             "controller " + name + " is being disconnected by another process");
        }
    }
    return gate;
}

}  // namespace

ControllerLease::ControllerLease(ProcessFd dir, std::string name, bool ours)
    : dir_(std::move(dir)), name_(std::move(name)), ours_(ours) {}

Result<ControllerLease> ControllerLease::ofMade(UniqueFd opened, std::string name,
                                                const ControllerNotes& notes, Poll poll) {
    auto dir = openHere(opened.get(), ".", O_DIRECTORY);
    if (!dir.valid()) return makeError(errno, "cannot open controller " + name);
    const auto gate = enterGate(dir.get(), name, poll);
    if (!gate.ok() && isGone(gate.error().code)) return gate.error();
    // Ours to disconnect also where a lock cannot be had. A note without one would make it look
    // left.
    if (tryLock(dir.get(), LOCK_SH) == 0) notes.add(dir.get(), name);
    return ControllerLease(std::move(dir), std::move(name), true);
}

Result<ControllerLease> ControllerLease::ofFound(UniqueFd opened, std::string name,
                                                 const ControllerNotes& notes,
                                                 Clock::time_point makerExpected, Poll poll) {
    auto dir = openHere(opened.get(), ".", O_DIRECTORY);
    if (!dir.valid()) return makeError(errno, "cannot open controller " + name);
    while (true) {
        auto gate = enterGate(dir.get(), name, poll);
        if (!gate.ok()) return gate.error();
        // Whoever was behind the gate before may have deleted it.
        const auto alive = readAttribute(dir.get(), "state");
        if (!alive.ok()) return alive.error();
        const bool ours = tryLock(dir.get(), LOCK_EX) == EWOULDBLOCK || notes.has(dir.get());
        // Nobody takes the lock exclusively but behind the gate: this one can be had.
        tryLock(dir.get(), ours ? LOCK_SH : LOCK_UN);
        if (ours || Clock::now() >= makerExpected) {
            return ControllerLease(std::move(dir), std::move(name), ours);
        }
        gate.value().reset();
        if (!poll.wait()) {
            return makeError(poll.stopped() ? ECANCELED : ETIMEDOUT, "controller " + name);
        }
    }
}

bool ControllerLease::endsLast(Poll poll) {
    if (!ours_) return false;
    auto gate = enterGate(dir(), name_, poll);
    if (!gate.ok()) return false;
    gate_ = gate.take();
    return tryLock(dir(), LOCK_EX) != EWOULDBLOCK;
}

}  // namespace mooncake::nvmeof_generic
