// SPDX-License-Identifier: Apache-2.0
#include "aio_shim.h"

#include <libaio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "delayed_io.h"
#include "instant_io.h"
#include "operation.h"
#include "own_thread.h"

namespace {

using namespace aio_shim;

struct Settings {
    bool instant = false;
    std::chrono::microseconds delay{0};
    unsigned long rate = 0;  // bytes a microsecond, which are MB a second
    bool holds = false;
    struct stat held {};

    bool passesOn() const { return delay.count() == 0 && rate == 0 && !holds; }
    Latency latencyOf(const iocb& control) const {
        return {delay, std::chrono::nanoseconds(rate == 0 ? 0 : bytesOf(control) * 1000 / rate)};
    }
    bool isHeld(int fd) const {
        struct stat file {};
        return holds && fstat(fd, &file) == 0 && file.st_dev == held.st_dev &&
               file.st_ino == held.st_ino;
    }
};

[[noreturn]] void refuse(const std::string& what) {
    fprintf(stderr, "aio_shim: %s\n", what.c_str());
    _exit(2);
}

Settings readSettings() {
    Settings settings;
    const char* const mode = getenv("AIO_SHIM");
    const std::string text = mode == nullptr ? "count" : mode;
    char* end = nullptr;
    if (text == "instant") {
        settings.instant = true;
    } else if (text.rfind("delay=", 0) == 0) {
        settings.delay = std::chrono::microseconds(strtoul(text.c_str() + 6, &end, 10));
        if (*end != '\0' || settings.delay.count() == 0) refuse("AIO_SHIM=" + text);
    } else if (text.rfind("rate=", 0) == 0) {
        settings.rate = strtoul(text.c_str() + 5, &end, 10);
        if (*end != '\0' || settings.rate == 0) refuse("AIO_SHIM=" + text);
    } else if (text != "count") {
        refuse("AIO_SHIM=" + text +
               "; it takes count, delay=<microseconds>, rate=<MB a second> or instant");
    }
    if (const char* path = getenv("AIO_SHIM_HOLD")) {
        settings.holds = true;
        if (stat(path, &settings.held) != 0) {
            refuse(std::string("AIO_SHIM_HOLD=") + path + ": " + strerror(errno));
        }
    }
    return settings;
}

const Settings& settings() {
    static const Settings read = readSettings();
    return read;
}

std::atomic<uint64_t> calls{0}, operations{0};

int systemCall(long result) {
    return result < 0 ? -errno : static_cast<int>(result);
}

int submitToKernel(io_context_t context, long count, iocb** controls) {
    return systemCall(syscall(SYS_io_submit, context, count, controls));
}

}  // namespace

extern "C" {

AioShimCounts aioShimCounts() {
    return {calls.load(), operations.load(), cpuSecondsOfThreads(), switchesOfThreads()};
}

void aioShimRelease() {
    releaseHeld();
}

int io_setup(int entries, io_context_t* context) {
    if (settings().instant) return instant::setup(entries, context);
    return systemCall(syscall(SYS_io_setup, entries, context));
}

int io_destroy(io_context_t context) {
    if (settings().instant) return instant::destroy(context);
    return systemCall(syscall(SYS_io_destroy, context));
}

int io_submit(io_context_t context, long count, iocb** controls) {
    if (settings().instant) return instant::submit(context, count, controls);
    long io = 0;
    for (long i = 0; i < count; ++i) io += isIo(*controls[i]);
    if (io > 0) {
        calls.fetch_add(1, std::memory_order_relaxed);
        operations.fetch_add(static_cast<uint64_t>(io), std::memory_order_relaxed);
    }
    if (io == 0 || settings().passesOn()) return submitToKernel(context, count, controls);
    for (long i = 0; i < count; ++i) {
        const iocb& control = *controls[i];
        const bool held = settings().isHeld(control.aio_fildes);
        if (isIo(control) && (held || settings().delay.count() > 0 || settings().rate > 0)) {
            submitLater(context, control, settings().latencyOf(control), held);
        } else if (const int result = submitToKernel(context, 1, controls + i); result != 1) {
            return i > 0 ? static_cast<int>(i) : result;
        }
    }
    return static_cast<int>(count);
}

int io_getevents(io_context_t context, long least, long most, io_event* events, timespec* limit) {
    if (settings().instant) return instant::getEvents(context, least, most, events, limit);
    return systemCall(syscall(SYS_io_getevents, context, least, most, events, limit));
}

int io_cancel(io_context_t context, iocb* control, io_event* event) {
    if (settings().instant) return -EINVAL;  // as the kernel answers for block I/O
    return systemCall(syscall(SYS_io_cancel, context, control, event));
}
}
