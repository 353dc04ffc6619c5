// SPDX-License-Identifier: Apache-2.0
#include "figures.h"

#include <dlfcn.h>
#include <json/json.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "../aio_shim/aio_shim.h"

namespace mooncake::store_bench {
namespace {

std::string wantedText(const Row& row) {
    char text[40] = "";
    if (row.at_least) std::snprintf(text, sizeof(text), "at least %g", *row.at_least);
    if (row.at_most) std::snprintf(text, sizeof(text), "at most %g", *row.at_most);
    return text;
}

bool isMissed(const Row& row) {
    const double middle = median(row.values);
    return (row.at_least && middle < *row.at_least) || (row.at_most && middle > *row.at_most);
}

double clockOf(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

void fail(const std::string& what) {
    throw std::runtime_error(what);
}

void Report::head(const std::string& text) {
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
}

void Report::add(const Row& row) {
    if (row.values.empty()) return;
    const auto [least, most] = std::minmax_element(row.values.begin(), row.values.end());
    const bool is_missed = isMissed(row);
    std::printf("  %-66s %10.2f (%.2f - %.2f)%s%s  %s%s\n", row.name.c_str(), median(row.values),
                *least, *most, row.unit.empty() ? "" : " ", row.unit.c_str(),
                wantedText(row).c_str(), is_missed ? "  MISSED" : "");
    std::fflush(stdout);
    if (is_missed) missed_.push_back(row.name);
    rows_.push_back(row);
}

void Report::writeJson(const std::string& path) const {
    Json::Value document;
    document["rows"] = Json::arrayValue;
    for (const Row& row : rows_) {
        Json::Value one;
        one["name"] = row.name;
        one["unit"] = row.unit;
        one["median"] = median(row.values);
        for (const double value : row.values) one["values"].append(value);
        if (row.at_least) one["at_least"] = *row.at_least;
        if (row.at_most) one["at_most"] = *row.at_most;
        document["rows"].append(one);
    }
    std::ofstream file(path);
    file << document << "\n";
    if (!file.flush()) fail("writing " + path + " failed");
}

double median(std::vector<double> values) {
    return quantile(std::move(values), 0.5);
}

double quantile(std::vector<double> values, double share) {
    if (values.empty()) fail("nothing was measured");
    const auto at = static_cast<ptrdiff_t>(static_cast<double>(values.size() - 1) * share);
    std::nth_element(values.begin(), values.begin() + at, values.end());
    return values[static_cast<size_t>(at)];
}

std::vector<double> ratios(const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<double> all;
    for (size_t i = 0; i < a.size() && i < b.size(); ++i) all.push_back(a[i] / b[i]);
    return all;
}

double seconds(Clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

double ownProcessor() {
    static const auto shim =
        reinterpret_cast<decltype(&aioShimCounts)>(dlsym(RTLD_DEFAULT, "aioShimCounts"));
    return clockOf(CLOCK_PROCESS_CPUTIME_ID) - (shim == nullptr ? 0 : shim().cpuSeconds);
}

double processorOf(int process) {
    clockid_t clock{};
    if (process == 0 || clock_getcpuclockid(process, &clock) != 0) return 0;
    return clockOf(clock);
}

}  // namespace mooncake::store_bench
