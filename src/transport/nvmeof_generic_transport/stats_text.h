// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::nvmeof_generic {

/// The counters in Prometheus' text format (version 0.0.4), which people can read, too. Names of
/// segments come from the metadata service: bytes that are not plain text become '?'.
/// @param process  the label `process` of each series, by which two programs of a host that read
/// the same
///     segments differ; empty: no such label
std::string statsText(const TransportStats& stats, const std::string& process = "");

/// Replaces a file by one with this text, so that whoever reads it sees all of the old or all of
/// the new.
/// @param path  its folder must exist; a name that begins with `path` is used meanwhile
/// @return the errno of the step that failed, with the file's name
Result<> replaceFile(const std::string& path, const std::string& text);

}  // namespace mooncake::nvmeof_generic
