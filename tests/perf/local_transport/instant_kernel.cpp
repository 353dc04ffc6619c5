// SPDX-License-Identifier: Apache-2.0
// Stands in for the kernel, so that what is left is the engine's and the transport's own time.
#include <memory>

#include "../instant_aio.h"

namespace mooncake::nvmeof_generic::io {

Result<std::unique_ptr<AioSyscalls>> makeKernelAio() {
    return std::unique_ptr<AioSyscalls>(std::make_unique<InstantAio>());
}

}  // namespace mooncake::nvmeof_generic::io
