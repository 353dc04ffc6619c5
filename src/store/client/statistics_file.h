// SPDX-License-Identifier: Apache-2.0
// The file that a client's numbers are written to, for Prometheus' node exporter.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "error.h"

namespace mooncake::store {

struct StatisticsOptions {
    std::string file;  // absolute path; empty: nowhere
    std::chrono::seconds interval{10};
    std::string process;  // the label of each series
};

// What $MC_STORE_STATS_FILE, $MC_STORE_STATS_INTERVAL and $MC_STORE_STATS_LABEL say; without the
// last the label is the program's name. kInvalid names the variable and what it takes.
Result<StatisticsOptions> statisticsOptions();

// The text with the label `process` in each series, by which two programs of a host differ.
std::string withProcess(std::string_view text, const std::string& process);

// Of several clients of one process the first has the file, until its end.
//
// Thread rule: one thread at a time.
class StatisticsFile {
 public:
    // Null where the path is empty, and where another client has it, of which the log tells.
    static std::unique_ptr<StatisticsFile> claim(const std::string& path);
    ~StatisticsFile();
    StatisticsFile(const StatisticsFile&) = delete;
    StatisticsFile& operator=(const StatisticsFile&) = delete;

    // Replaces the file as a whole; one that everybody may read. kInvalid where that is not
    // possible.
    Result<> write(std::string_view text) const;

 private:
    explicit StatisticsFile(std::string path) : path_(std::move(path)) {}

    const std::string path_;
};

}  // namespace mooncake::store
