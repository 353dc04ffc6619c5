// SPDX-License-Identifier: Apache-2.0
#pragma once

// For a state that lies where it is used.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef XXHASH_DISPATCHES
// The same functions, for the processor that is there: its widest vectors are two to three times as
// fast as those that all have.
#include <xxh_x86dispatch.h>
#endif

#include <cstddef>

#include "object_entry.h"

namespace mooncake::store {

inline Checksum128 checksumOf(const void* bytes, size_t length) {
    const XXH128_hash_t hash = XXH3_128bits(bytes, length);
    return {hash.low64, hash.high64};
}

// Of bytes that come one after the other.
class RunningChecksum {
 public:
    void start() { XXH3_128bits_reset(&state_); }
    void add(const void* bytes, size_t length) { XXH3_128bits_update(&state_, bytes, length); }
    Checksum128 end() const {
        const XXH128_hash_t hash = XXH3_128bits_digest(&state_);
        return {hash.low64, hash.high64};
    }

 private:
    XXH3_state_t state_;
};

}  // namespace mooncake::store
