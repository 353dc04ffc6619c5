// SPDX-License-Identifier: Apache-2.0
#include <glog/logging.h>
#include <numa.h>

#include "bindings.h"

namespace mooncake::python {

void bindNuma(pybind11::module_& module) {
    module.def(
        "bind_to_numa_node",
        [](int node) {
            if (numa_available() < 0 || node < 0 || node > numa_max_node() ||
                numa_run_on_node(node) != 0) {
                LOG(WARNING) << "bind_to_numa_node: there is no NUMA node " << node
                             << "; the thread stays where it is";
                return;
            }
            numa_set_preferred(node);
        },
        pybind11::arg("node"),
        "Runs this thread on the processors of a NUMA node, with memory there. Where there is no\n"
        "such node it only says so in the log.");
}

}  // namespace mooncake::python
