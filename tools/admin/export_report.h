// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <vector>

#include "connection_list.h"
#include "export_list.h"

namespace mooncake::nvmeof_generic::admin {

/// For people. Names of unknown origin are printed in a form that is safe on a terminal.
void printTable(const ExportList& list, const std::vector<ConnectedSubsystem>& connections,
                std::ostream& out);

/// For programs: one JSON object. What is not known is null.
void printJson(const ExportList& list, const std::vector<ConnectedSubsystem>& connections,
               std::ostream& out);

}  // namespace mooncake::nvmeof_generic::admin
