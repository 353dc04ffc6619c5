// SPDX-License-Identifier: Apache-2.0
#include "export_plan.h"

#include <cerrno>

namespace mooncake::nvmeof_generic {

Result<ExportPlan> planExport(const FileGeometry& geometry, uint64_t wanted,
                              const std::string& name) {
    const std::string what = "cannot export " + std::to_string(wanted) + " bytes of " + name;
    if (wanted > geometry.size) {
        return makeError(EINVAL, what, "it has " + std::to_string(geometry.size));
    }
    ExportPlan plan{};
    plan.blockSize = geometry.blockSize;
    plan.size = wanted / plan.blockSize * plan.blockSize;
    if (plan.size == 0) {
        return makeError(
            EINVAL, what,
            "at least one block of " + std::to_string(plan.blockSize) + " bytes is needed");
    }
    const bool wholeFile =
        geometry.nvmetBlockSize != 0 &&
        plan.size == geometry.size / geometry.nvmetBlockSize * geometry.nvmetBlockSize;
    plan.throughLoop = !wholeFile;
    return plan;
}

}  // namespace mooncake::nvmeof_generic
