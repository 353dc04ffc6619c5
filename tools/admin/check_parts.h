// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine_check.h"

namespace mooncake::nvmeof_generic::admin {

inline Check ok(std::string what) {
    return {Verdict::kOk, std::move(what), ""};
}

/// A check under its code, which nvmeof_generic_admin(8) has.
inline Check coded(std::string code, Check check) {
    check.code = std::move(code);
    return check;
}

/// @param ifAbsent  what it means that the module is not loaded, though modprobe would find it
/// @param ifMissing  what it means that there is none
Check checkModule(const Roots& roots, const std::string& name, Verdict ifAbsent, Verdict ifMissing);

/// Checks that a device node or folder is there and that we may write to it.
/// @param remedy  for one that is not there
Check checkWritable(const std::string& path, Verdict ifAbsent, const std::string& remedy);

/// Whether a module's part of the kernel can authenticate (DH-HMAC-CHAP): it need not.
/// @param module  "nvmet" or "nvme_core"
/// @param ifNot  what does not work then
Check checkAuthentication(const Roots& roots, const std::string& module, const std::string& ifNot);

std::vector<Check> checkTarget(const Roots& roots, const std::string& trtype);
std::vector<Check> checkInitiator(const Roots& roots, const std::string& trtype);

}  // namespace mooncake::nvmeof_generic::admin
