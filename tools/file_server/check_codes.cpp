// SPDX-License-Identifier: Apache-2.0
#include "check_codes.h"

#include <array>

namespace mooncake::file_server {

std::span<const CheckCode> allCheckCodes() {
    using namespace codes;
    static constexpr std::array kAll{kConfig,
                                     kConfigUnreadable,
                                     kConfigMalformed,
                                     kNoFiles,
                                     kEnvironment,
                                     kEnvironmentMalformed,
                                     kAddress,
                                     kAddressMalformed,
                                     kAddressNotLocal,
                                     kAddressInUse,
                                     kAddressUnusable,
                                     kHosts,
                                     kHostsUnusable,
                                     kHostsNobody,
                                     kHostsAnybody,
                                     kKeys,
                                     kKeysUnusable,
                                     kKeysUnsupported,
                                     kKernel,
                                     kKernelTarget,
                                     kStats,
                                     kStatsUnwritable,
                                     kFile,
                                     kFileMissing,
                                     kFileKind,
                                     kFilePermission,
                                     kFilePath,
                                     kFileMount,
                                     kFileBusy,
                                     kFileReadOnly,
                                     kFileSize,
                                     kFileSpace,
                                     kFileLoop,
                                     kFileDuplicate,
                                     kFileRounded,
                                     kFileNumber,
                                     kFileUnusable};
    return kAll;
}

}  // namespace mooncake::file_server
