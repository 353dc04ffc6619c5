// SPDX-License-Identifier: Apache-2.0
// What was measured, a row each: of several turns the median, the least and the most.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace mooncake::store_bench {

using Clock = std::chrono::steady_clock;

// Ends the program with status 1.
[[noreturn]] void fail(const std::string& what);

struct Row {
    std::string name;
    std::string unit;  // empty: a ratio
    std::vector<double> values;
    // Of the median.
    std::optional<double> at_least = std::nullopt;
    std::optional<double> at_most = std::nullopt;
};

class Report {
 public:
    // Prints it, too. Without values nothing.
    void add(const Row& row);
    // A line of its own.
    void head(const std::string& text);
    // @return the names of the rows that miss what is wanted
    const std::vector<std::string>& missed() const { return missed_; }
    void writeJson(const std::string& path) const;

 private:
    std::vector<Row> rows_;
    std::vector<std::string> missed_;
};

double median(std::vector<double> values);
// The value that `share` of them (0 to 1) do not exceed.
double quantile(std::vector<double> values, double share);
// a[i] / b[i]
std::vector<double> ratios(const std::vector<double>& a, const std::vector<double>& b);

double seconds(Clock::duration time);
// Processor time of this process without that of a preloaded shim's threads, in seconds.
double ownProcessor();
// Of another process; 0 where it is not known.
double processorOf(int process);

}  // namespace mooncake::store_bench
