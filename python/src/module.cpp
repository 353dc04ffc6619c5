// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"
#include "process.h"

PYBIND11_MODULE(_store, module) {
    using namespace mooncake::python;
    module.doc() =
        "The object store of NVMe-oF file segments. mooncake_files.store is its public face.";
    watchForks();
    bindTypes(module);
    StoreClass store(
        module, "MooncakeDistributedStore", pybind11::module_local(),
        "A node of the store: puts and gets objects by key, and may give files to it.\n"
        "\n"
        "Keys are str or bytes of 1 to 4096 bytes, sizes are in bytes, addresses are\n"
        "int. Errors are negative numbers (see ErrorCode), never exceptions; before\n"
        "setup() and after close() every call returns its error. Any number of threads\n"
        "may call; other threads of Python run meanwhile. Memory need not be\n"
        "registered. In a forked child of a process that has set one up no store can be.");
    bindSetup(store);
    bindPut(store);
    bindGet(store);
    bindObjects(store);
    bindNuma(module);
    module.def(
        "last_error", &lastError,
        "What failed in this thread's last call that failed as a whole, why, and what to do\n"
        "about it. Empty where none has.");
    // Before the interpreter is taken down: the calls of other threads come back from here.
    pybind11::module_::import("atexit").attr("register")(pybind11::cpp_function(&Store::closeAll));
}
