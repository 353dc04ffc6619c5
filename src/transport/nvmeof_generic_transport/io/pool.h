// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "aio_syscalls.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic::io {

/// What IoPool::create() does, on any AioSyscalls.
Result<std::unique_ptr<IoPool>> createPool(const IoOptions& options,
                                           std::unique_ptr<AioSyscalls> aio);

}  // namespace mooncake::nvmeof_generic::io
