// SPDX-License-Identifier: Apache-2.0
#include "statistics_file.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <set>

#include "transport/nvmeof_generic_transport/common/replace_file.h"

namespace mooncake::store {
namespace {

constexpr unsigned kLongestInterval = 3600;  // seconds
constexpr size_t kLongestLabel = 128;

bool isPath(std::string_view text) {
    return text.size() > 1 && text.front() == '/' && text.back() != '/';
}

bool isLabel(std::string_view text) {
    return !text.empty() && text.size() <= kLongestLabel &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; });
}

// 0 for what is no number or out of range.
unsigned secondsOf(std::string_view text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_all = error == std::errc() && end == text.data() + text.size();
    return is_all && number <= kLongestInterval ? number : 0;
}

// A program's name may hold anything.
std::string labelOfProgram() {
    std::string label = std::string(program_invocation_short_name).substr(0, kLongestLabel);
    for (char& c : label) {
        if (!isLabel({&c, 1})) c = '?';
    }
    return label;
}

auto malformed(const char* variable, const char* value, const char* wanted) {
    return failed(Failure::kInvalid, std::string("environment variable ") + variable + "='" +
                                         value + "': it takes " + wanted);
}

std::mutex& mutex() {
    static auto* const made = new std::mutex;
    return *made;
}

// Paths that a client has.
std::set<std::string>& taken() {
    static auto* const made = new std::set<std::string>;
    return *made;
}

}  // namespace

Result<StatisticsOptions> statisticsOptions() {
    StatisticsOptions options;
    options.process = labelOfProgram();
    if (const char* const file = std::getenv("MC_STORE_STATS_FILE")) {
        if (!isPath(file)) {
            return malformed("MC_STORE_STATS_FILE", file, "the absolute path of a file");
        }
        options.file = file;
    }
    if (const char* const interval = std::getenv("MC_STORE_STATS_INTERVAL")) {
        options.interval = std::chrono::seconds(secondsOf(interval));
        if (options.interval.count() == 0) {
            return malformed("MC_STORE_STATS_INTERVAL", interval, "seconds, 1 to 3600");
        }
    }
    if (const char* const label = std::getenv("MC_STORE_STATS_LABEL")) {
        if (!isLabel(label)) {
            return malformed("MC_STORE_STATS_LABEL", label,
                             "1 to 128 printable ASCII characters without blank, quote, backslash");
        }
        options.process = label;
    }
    return options;
}

std::string withProcess(std::string_view text, const std::string& process) {
    const std::string label = "process=\"" + process + "\"";
    std::string labelled;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n') + 1);
        text.remove_prefix(line.size());
        // Neither is in a metric's name.
        const size_t end =
            line.starts_with('#') ? std::string_view::npos : line.find_first_of("{ ");
        if (end == std::string_view::npos) {
            labelled += line;
        } else if (line[end] == '{') {
            labelled.append(line.substr(0, end)).append("{" + label + ",");
            labelled += line.substr(end + 1);
        } else {
            labelled.append(line.substr(0, end)).append("{" + label + "}").append(line.substr(end));
        }
    }
    return labelled;
}

std::unique_ptr<StatisticsFile> StatisticsFile::claim(const std::string& path) {
    if (path.empty()) return nullptr;
    const std::lock_guard lock(mutex());
    if (taken().insert(path).second) {
        return std::unique_ptr<StatisticsFile>(new StatisticsFile(path));
    }
    LOG(WARNING) << "store: another client of this process writes its statistics to " << path
                 << ", and this one none";
    return nullptr;
}

StatisticsFile::~StatisticsFile() {
    const std::lock_guard lock(mutex());
    taken().erase(path_);
}

Result<> StatisticsFile::write(std::string_view text) const {
    const auto written = nvmeof_generic::replaceFile(path_, text);
    if (written.ok()) return {};
    return failed(Failure::kInvalid,
                  "statistics: " + written.error().message + "; MC_STORE_STATS_FILE names it");
}

}  // namespace mooncake::store
