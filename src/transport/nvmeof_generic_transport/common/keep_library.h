// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mooncake::nvmeof_generic {

/// Keeps the shared library that this code is in loaded until the process ends: for a thread that
/// the kernel holds and that nobody can wait for.
void keepThisLibrary();

}  // namespace mooncake::nvmeof_generic
