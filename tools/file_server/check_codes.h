// SPDX-License-Identifier: Apache-2.0
// What a check can find, under names that do not change: transfer_engine_file_server(8) has them
// all.
#pragma once

#include <span>
#include <string_view>

namespace mooncake::file_server {

struct CheckCode {
    std::string_view code;
    /// It stays so until the operator changes something: no service manager should try again.
    bool permanent = false;
    std::string_view remedy = {};  ///< where the cause's own message has none
};

namespace codes {
inline constexpr CheckCode kConfig{"config"}, kConfigUnreadable{"config.unreadable", true},
    kConfigMalformed{"config.malformed", true}, kNoFiles{"config.no_files"};
inline constexpr CheckCode kEnvironment{"environment"},
    kEnvironmentMalformed{"environment.malformed", true};
inline constexpr CheckCode kAddress{"address"}, kAddressMalformed{"address.malformed", true},
    kAddressNotLocal{"address.not_local"}, kAddressInUse{"address.in_use"},
    kAddressUnusable{"address.unusable"};
inline constexpr CheckCode kHosts{"hosts"}, kHostsUnusable{"hosts.unusable", true},
    kHostsNobody{"hosts.nobody", false, "write the NQN of each host that shall connect into it"},
    kHostsAnybody{"hosts.anybody", false, "set allowed_hosts or allowed_hosts_file"};
inline constexpr CheckCode kKeys{"keys"}, kKeysUnusable{"keys.unusable", true},
    kKeysUnsupported{"keys.unsupported", false,
                     "take a kernel built with CONFIG_NVME_TARGET_AUTH, as Debian's 6.12 is"};
inline constexpr CheckCode kKernel{"kernel"}, kKernelTarget{"kernel.target"};
inline constexpr CheckCode kStats{"stats"}, kStatsUnwritable{"stats.unwritable"};
inline constexpr CheckCode kFile{"file"}, kFileMissing{"file.missing"}, kFileKind{"file.kind"},
    kFilePermission{"file.permission"}, kFilePath{"file.path"}, kFileMount{"file.mount"},
    kFileBusy{"file.busy"}, kFileReadOnly{"file.read_only"}, kFileSize{"file.size"},
    kFileSpace{"file.space"}, kFileLoop{"file.loop", false, "modprobe loop"},
    kFileDuplicate{"file.duplicate"}, kFileRounded{"file.rounded"},
    kFileNumber{"file.number", false, "give one of the two an id in its section"},
    kFileUnusable{"file.unusable"};
}  // namespace codes

/// All of them.
std::span<const CheckCode> allCheckCodes();

}  // namespace mooncake::file_server
