// SPDX-License-Identifier: Apache-2.0
// The DH-HMAC-CHAP keys of one host, as they stand in its key file. Every function may be called
// from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "transport/nvmeof_generic_transport/common/open_path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/secret.h"

namespace mooncake::nvmeof_generic {

struct HostKey {
    Secret host;           ///< with which the host proves who it is
    Secret controller;     ///< with which the controller does; empty: it does not
    Secret oldHost;        ///< the host's second one, which counts on the host alone; or empty
    Secret oldController;  ///< the controller's second one, likewise
    std::string hash;      ///< as nvmet calls it: "hmac(sha256)"; empty: the kernel's default
    std::string dhGroup;   ///< "null", "ffdhe2048" ...; empty: the kernel's default
};

/// What the text of a key stands for.
struct DhchapKey {
    uint8_t hash;  ///< with which it is bound to its owner's NQN: 1 SHA-256, 2 SHA-384, 3 SHA-512;
                   ///< 0: it is used as it is
    Secret bytes;  ///< 32, 48 or 64
};

/// Reads the text of a key (NVMe Base Specification 2.0, 8.13.5.8):
/// "DHHC-1:<hash>:<base64 of key and CRC-32>:", hash 00 to 03; a key of 32, 48 or 64 bytes, as the
/// hash wants; the CRC must be right.
/// @return EINVAL; the message says what is wrong and holds nothing of the key
Result<DhchapKey> parseDhchapKey(std::string_view text);

/// Reads a key file (readGuardedFile(), kSecret): lines "host_key=", "controller_key=" (optional),
/// each twice while keys are being changed, the new one first;
/// "hash=" (sha256, sha384, sha512; optional), "dhgroup=" (null, ffdhe2048 to ffdhe8192; optional),
/// '#' for comments. Both ends can use the same file: hash and dhgroup count on the target.
/// @return EINVAL that names file and line, and what readGuardedFile() gives; never any content
Result<HostKey> readKeyFile(const std::string& path, PathCheck check);

}  // namespace mooncake::nvmeof_generic
