// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "shared_namespace.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

/// The one WriteGuard of a namespace in this process, whichever engine, name or way it is opened
/// by; it lives as long as somebody holds it. Thread-safe. Throws std::bad_alloc.
std::shared_ptr<io::WriteGuard> writeGuardOf(const SharedNamespace::Key& key);

}  // namespace mooncake::nvmeof_generic
