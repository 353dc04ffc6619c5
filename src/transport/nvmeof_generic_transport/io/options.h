// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "planner.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/io/io_options.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic::io {

/// @return EINVAL for an option out of its range; the message names it
Result<> checkOptions(const IoOptions& options);

/// What memory needs for direct I/O on `fd`, in bytes: what the kernel says (STATX_DIOALIGN, since
/// Linux 6.1), otherwise the logical block size, which is enough on every device.
uint32_t memoryAlignment(int fd, uint32_t blockSize);

/// The rules for a device.
/// @param device  its size of a block and copyWrites count
/// @param bounceChunks  how many chunks all devices share
PlanRules planRules(const IoOptions& options, const IoDeviceSpec& device, uint32_t memoryAlignment,
                    size_t bounceChunks);

}  // namespace mooncake::nvmeof_generic::io
