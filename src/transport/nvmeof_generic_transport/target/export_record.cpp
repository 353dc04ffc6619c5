// SPDX-License-Identifier: Apache-2.0
#include "export_record.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <string_view>

#include "backing_file.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;

// A record that is replaced during a look may be missed.
constexpr int kAttempts = 3;

// What /proc shows of a memory file of this name (memfd_create(2)).
std::string shownName(const std::string& subsystemNqn) {
    return "/memfd:" + subsystemNqn + " (deleted)";
}

bool writeAll(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written <= 0) return false;
        text.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

std::optional<std::string> readAll(int fd) {
    std::string text;
    char piece[65536];
    while (true) {
        const ssize_t length = ::pread(fd, piece, sizeof(piece), static_cast<off_t>(text.size()));
        if (length < 0) return std::nullopt;
        if (length == 0) return text;
        text.append(piece, static_cast<size_t>(length));
    }
}

// The segment, then "<nsid> <size> <path>" of each file; each ends in the one byte that no path
// has.
std::string encode(const ExportedNames& names) {
    std::string text = names.segment + '\0';
    for (const auto& [nsid, file] : names.files) {
        text += std::to_string(nsid) + ' ' + std::to_string(file.size) + ' ' + file.path + '\0';
    }
    return text;
}

template <class Number>
bool takeNumber(std::string_view& text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const size_t length = static_cast<size_t>(end - text.data());
    if (error != std::errc() || length == text.size() || *end != ' ') return false;
    text.remove_prefix(length + 1);
    return true;
}

std::optional<ExportedNames> decode(std::string_view text) {
    ExportedNames names;
    bool first = true;
    while (!text.empty() || first) {
        const size_t end = text.find('\0');
        if (end == std::string_view::npos) return std::nullopt;
        std::string_view item = text.substr(0, end);
        text.remove_prefix(end + 1);
        if (first) {
            names.segment = item;
            first = false;
            continue;
        }
        uint32_t nsid = 0;
        uint64_t size = 0;
        if (!takeNumber(item, nsid) || !takeNumber(item, size)) return std::nullopt;
        names.files[nsid] = {std::string(item), size};
    }
    return names;
}

// One look through the descriptors of a process.
std::optional<ExportedNames> findRecord(const std::string& folder, const std::string& name) {
    std::error_code error;
    fs::directory_iterator it(folder, error), end;
    for (; !error && it != end; it.increment(error)) {
        const std::string path = it->path();
        std::error_code gone;
        if (fs::read_symlink(path, gone) != name) continue;
        const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
        // The number may have gone to another file meanwhile.
        if (!file.valid() || openFileName(file.get()) != name) continue;
        const auto text = readAll(file.get());
        return text ? decode(*text) : std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

ExportRecord::ExportRecord(std::string subsystemNqn, std::string segment)
    : subsystemNqn_(std::move(subsystemNqn)), names_{std::move(segment), {}} {
    publish();
}

void ExportRecord::put(uint32_t nsid, std::string path, uint64_t size) {
    std::lock_guard guard(mutex_);
    names_.files[nsid] = {std::move(path), size};
    publish();
}

void ExportRecord::remove(uint32_t nsid) {
    std::lock_guard guard(mutex_);
    names_.files.erase(nsid);
    publish();
}

// Always a new file: who reads at this moment has the old one or the new one, never half of each.
void ExportRecord::publish() {
    UniqueFd file(::memfd_create(subsystemNqn_.c_str(), MFD_CLOEXEC));
    // Rather none than one that is not true any more.
    if (file.valid() && !writeAll(file.get(), encode(names_))) file.reset();
    file_ = std::move(file);
}

std::optional<ExportedNames> readExportRecord(const std::string& procRoot, pid_t pid,
                                              const std::string& subsystemNqn) {
    const std::string folder = procRoot + "/" + std::to_string(pid) + "/fd";
    for (int i = 0; i < kAttempts; ++i) {
        if (auto names = findRecord(folder, shownName(subsystemNqn))) return names;
    }
    return std::nullopt;
}

}  // namespace mooncake::nvmeof_generic
