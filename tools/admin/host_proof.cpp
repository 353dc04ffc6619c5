// SPDX-License-Identifier: Apache-2.0
#include "host_proof.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "text_file.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

enum class Value { kUnknown, kNoAttribute, kEmpty, kGiven };

Value valueOf(const std::string& attribute) {
    const UniqueFd file(::open(attribute.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.valid()) return errno == ENOENT ? Value::kNoAttribute : Value::kUnknown;
    char first = '\n';
    const ssize_t length = ::read(file.get(), &first, 1);
    if (length < 0) return Value::kUnknown;
    return length == 1 && first != '\n' ? Value::kGiven : Value::kEmpty;
}

}  // namespace

Proof proofOf(const std::string& entry) {
    if (!exists(entry)) return Proof::kUnknown;
    switch (valueOf(entry + "/dhchap_key")) {
        case Value::kUnknown:
            return Proof::kUnknown;
        case Value::kNoAttribute:
            return Proof::kUnsupported;
        case Value::kEmpty:
            return Proof::kNone;
        case Value::kGiven:
            break;
    }
    return valueOf(entry + "/dhchap_ctrl_key") == Value::kGiven ? Proof::kBoth : Proof::kHost;
}

std::optional<bool> canAuthenticate(const Roots& roots, const std::string& module) {
    const std::string modules = roots.sys + "/module/";
    // Code that was built into the kernel has a folder, too, but was never loaded.
    if (!exists(modules + module + "/initstate")) return std::nullopt;
    // Only who can authenticate uses the code for it, which is in nvme-common up to 6.6.
    return exists(modules + "nvme_auth/holders/" + module) ||
           exists(modules + "nvme_common/holders/" + module);
}

}  // namespace mooncake::nvmeof_generic::admin
