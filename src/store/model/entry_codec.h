// SPDX-License-Identifier: Apache-2.0
// An entry as the directory keeps it: about 50 bytes for one extent.
//
//   1 byte   version
//   varints  size, flags, time, number of replicas; for each: number of extents; for each: file,
//            region, generation, offset, length (not for the last one, which has what is left of
//            the size), and 16 bytes of checksum
//   4 bytes  the check: the low bits of XXH3 over key and all that stands before
//
// The check ties an entry to its key, so that a directory that confuses two keys is found out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "error.h"
#include "object_entry.h"

namespace mooncake::store {

// The entry must pass checkEntry(). An entry has one encoding, and equal ones have the same.
std::string encodeEntry(std::string_view key, const ObjectEntry& entry);

// kDamaged for bytes that encodeEntry() has not made for this key, kUnsupported for those of
// another version. What it gives passes checkEntry().
Result<ObjectEntry> decodeEntry(std::string_view key, std::string_view bytes);

// The last four bytes for what stands before them.
uint32_t entryCheck(std::string_view key, std::string_view body);

}  // namespace mooncake::store
