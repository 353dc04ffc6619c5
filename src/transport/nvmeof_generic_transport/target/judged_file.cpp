// SPDX-License-Identifier: Apache-2.0
#include "judged_file.h"

#include <utility>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {

Result<JudgedFile> JudgedFile::open(const std::string& path, uint64_t size,
                                    const BackingFile::Rules& rules, Step* failedAt) {
    if (failedAt != nullptr) *failedAt = Step::kOpen;
    auto opened = BackingFile::open(path, rules);
    if (!opened.ok()) return opened.error();
    if (failedAt != nullptr) *failedAt = Step::kSize;
    const auto planned = planExport(opened.value().geometry(), size, inQuotes(path));
    if (!planned.ok()) return planned.error();
    return JudgedFile{opened.take(), planned.value()};
}

}  // namespace mooncake::nvmeof_generic
