// SPDX-License-Identifier: Apache-2.0
#include "host_file.h"

#include <glog/logging.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "transport/nvmeof_generic_transport/common/guarded_file.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr int kRetryMilliseconds = 1000;
constexpr uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM;

std::string_view trimmed(std::string_view line) {
    constexpr std::string_view kBlanks = " \t\r";
    const size_t first = line.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return line.substr(first, line.find_last_not_of(kBlanks) + 1 - first);
}

}  // namespace

Result<std::set<std::string>> parseHostFile(std::string_view text) {
    std::set<std::string> hosts;
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.starts_with('#')) continue;
        if (auto checked = checkNqn(line); !checked.ok()) {
            return Error{EINVAL, "line " + std::to_string(number) + ": " + checked.error().message};
        }
        hosts.emplace(line);
    }
    return hosts;
}

Result<std::set<std::string>> readHostFile(const std::string& path, PathCheck check) {
    const auto content = readGuardedFile(path, FileGuard::kUnforged, kMaxFileBytes, check);
    if (!content.ok()) return content.error();
    auto hosts = parseHostFile(content.value().view());
    if (hosts.ok()) return hosts;
    return Error{EINVAL, "list of allowed hosts " + inQuotes(path) + ", " + hosts.error().message};
}

HostFileWatch::HostFileWatch(std::string folder, std::string name, UniqueFd events, UniqueFd stop)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      events_(std::move(events)),
      stop_(std::move(stop)) {}

Result<std::unique_ptr<HostFileWatch>> HostFileWatch::create(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == 0 ? "/" : path.substr(0, slash);
    const std::string what = "cannot watch folder " + inQuotes(folder);
    UniqueFd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!events.valid()) {
        return makeError(errno, what,
                         "raise fs.inotify.max_user_instances, or the limit of open files");
    }
    const uint32_t mask = kChanges | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    if (::inotify_add_watch(events.get(), folder.c_str(), mask) < 0) {
        return makeError(errno, what, errno == ENOSPC ? "raise fs.inotify.max_user_watches" : "");
    }
    UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop.valid()) return makeError(errno, what);
    return std::unique_ptr<HostFileWatch>(
        new HostFileWatch(folder, path.substr(slash + 1), std::move(events), std::move(stop)));
}

Result<> HostFileWatch::start(std::function<bool()> changed) {
    auto started =
        startThread("nvmeof-hosts", [this, changed = std::move(changed)] { run(changed); });
    if (!started.ok()) return started.error();
    thread_ = started.take();
    return {};
}

HostFileWatch::~HostFileWatch() {
    if (!thread_.joinable()) return;
    const uint64_t one = 1;
    if (::write(stop_.get(), &one, sizeof(one)) < 0) {
        PLOG(ERROR) << "cannot wake the thread that watches " << folder_;
    }
    thread_.join();
}

bool HostFileWatch::concerns(const std::string& changedName) const {
    if (changedName == name_) return true;
    std::error_code error;
    const auto link = std::filesystem::read_symlink(folder_ + "/" + name_, error);
    return !error && link.is_relative() && link.begin()->string() == changedName;
}

// Takes all events. @return whether one of them may mean another content
bool HostFileWatch::readEvents() {
    alignas(inotify_event) std::array<char, 8192> buffer;
    bool concerned = false;
    while (true) {
        const ssize_t length = ::read(events_.get(), buffer.data(), buffer.size());
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) return concerned;
        for (ssize_t at = 0; at < length;) {
            inotify_event event;
            std::memcpy(&event, buffer.data() + at, sizeof(event));
            const char* name = buffer.data() + at + sizeof(event);
            at += static_cast<ssize_t>(sizeof(event) + event.len);
            if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) {
                LOG(ERROR) << "Folder " << folder_
                           << " is gone: changes to the list of allowed hosts are no longer "
                              "noticed (restart the target)";
            }
            concerned |= (event.mask & IN_Q_OVERFLOW) != 0;
            // A file just made has no content yet; its closing or its renaming is told as well.
            const bool written = (event.mask & IN_CREATE) == 0;
            concerned |= event.len != 0 && written && concerns(name);
        }
    }
}

void HostFileWatch::run(const std::function<bool()>& changed) {
    bool done = true;
    while (true) {
        std::array<pollfd, 2> wait{{{events_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        const int ready = ::poll(wait.data(), wait.size(), done ? -1 : kRetryMilliseconds);
        if (ready < 0 && errno != EINTR) {
            PLOG(ERROR) << "cannot wait for changes in " << folder_;
            return;
        }
        if (wait[1].revents != 0) return;
        const bool concerned = ready > 0 && readEvents();
        if (concerned || (ready == 0 && !done)) done = changed();
    }
}

}  // namespace mooncake::nvmeof_generic
