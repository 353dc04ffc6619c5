// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <vector>

#include "transport/nvmeof_generic_transport/common/host_key.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"

namespace mooncake::nvmeof_generic {

/// What one attempt to authenticate is made with. Points into a HostKey.
struct KeyPair {
    const Secret* host = nullptr;        ///< null: this host has no key
    const Secret* controller = nullptr;  ///< null: the controller need not prove who it is
    bool old = false;                    ///< one of them, or both, is the second one of its kind
};

/// The keys that the options name; empty ones where they name none.
/// @return as readKeyFile()
inline Result<HostKey> readHostKey(const InitiatorOptions& options) {
    if (options.keyFile.empty()) return HostKey{};
    return readKeyFile(options.keyFile, options.pathCheck);
}

/// The pairs that a host tries: new keys, then, while keys are being changed target by target, old
/// ones. Where only one kind has an old key, that goes with the other kind's only key.
/// @param key  without any: gives one empty pair
/// @return one or two
inline std::vector<KeyPair> keyPairs(const HostKey& key) {
    const auto orNull = [](const Secret& secret) { return secret.empty() ? nullptr : &secret; };
    std::vector<KeyPair> pairs{{orNull(key.host), orNull(key.controller)}};
    if (key.oldHost.empty() && key.oldController.empty()) return pairs;
    pairs.push_back({key.oldHost.empty() ? &key.host : &key.oldHost,
                     orNull(key.oldController.empty() ? key.controller : key.oldController), true});
    return pairs;
}

/// Makes an attempt with the first pair and, where EKEYREJECTED comes of it, one with the last.
/// @param pairs  one or two
/// @param attempt  called with a KeyPair, gives a Result
/// @return what came of the attempt that counts: the first one's where both were rejected
template <class Attempt>
auto withEither(const std::vector<KeyPair>& pairs, const Attempt& attempt) {
    auto first = attempt(pairs.front());
    if (first.ok() || first.error().code != EKEYREJECTED || pairs.size() < 2) return first;
    auto second = attempt(pairs.back());
    return !second.ok() && second.error().code == EKEYREJECTED ? first : second;
}

}  // namespace mooncake::nvmeof_generic
