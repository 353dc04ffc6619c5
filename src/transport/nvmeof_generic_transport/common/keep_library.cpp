// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/keep_library.h"

#include <dlfcn.h>

namespace mooncake::nvmeof_generic {

void keepThisLibrary() {
    Dl_info info;
    if (::dladdr(reinterpret_cast<void*>(&keepThisLibrary), &info) == 0) return;
    // A program, which is never unloaded, is not found by its name: nothing happens.
    ::dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace mooncake::nvmeof_generic
