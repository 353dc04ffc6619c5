// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>

namespace initiator_test {

/// Makes the kernel name devices with native multipath or without: nvme_core takes that when it is
/// loaded, so it is loaded anew if it must be. Nothing may use it or nvmet.
void useMultipath(bool native);

/// Removes what makes /dev/nvme-fabrics.
void unloadFabrics();
void loadFabrics();

/// Runs a program of this machine; throws if it fails.
void run(const char* program, std::initializer_list<const char*> arguments);

}  // namespace initiator_test
