// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::nvmeof_generic {

/// The counters in Prometheus' text format (version 0.0.4), which people can read, too. Names of
/// segments come from the metadata service: bytes that are not plain text become '?'.
/// @param process  the label `process` of each series, by which two programs of a host that read
/// the same
///     segments differ; empty: no such label
std::string statsText(const TransportStats& stats, const std::string& process = "");

}  // namespace mooncake::nvmeof_generic
