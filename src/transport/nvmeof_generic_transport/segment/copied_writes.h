// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "remote_descriptor.h"

namespace mooncake::nvmeof_generic {

/// Whether a write to the segment may stop this machine unless it comes from memory of which it is
/// certain that it is in single pages, so that all others are to be copied.
///
/// Linux before 6.5 sends physically adjacent pages over TCP as one piece, whatever pages they
/// belong to, and where the receiver is the same kernel (a target on the same host, in a container
/// or behind a veth) its hardened usercopy takes a piece that begins in a compound page and leaves
/// it for an attack: "kernel BUG at mm/usercopy.c" (check_heap_object, since 5.18, which vendors
/// have in older kernels, too; seen on Debian's 6.1.192). Compound are huge pages, wherever they
/// were moved to, those of shared memory, of files on some file systems, and of drivers: nobody can
/// tell by an address. Linux 6.5 and newer sends page by page.
/// @param kernelRelease  of this kernel, as uname(2) tells it; one that cannot be read counts as
/// old
bool mustCopyWrites(const std::string& kernelRelease, const RemoteDescriptor& target);

}  // namespace mooncake::nvmeof_generic
