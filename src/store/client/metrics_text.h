// SPDX-License-Identifier: Apache-2.0
// What a client has counted, as text: for Prometheus and for people.
#pragma once

#include <string>

#include "client_counters.h"
#include "file_table.h"

namespace mooncake::store {

std::string metricsText(const ClientStatistics& numbers);
// A histogram.
void appendDurations(std::string* text, const std::string& name, const std::string& help,
                     const Durations& durations);
// Size, clean regions and state of each file.
void appendFiles(std::string* text, const FileMap& files);

// One line.
std::string summaryText(const ClientStatistics& numbers, const FileMap& files);

}  // namespace mooncake::store
