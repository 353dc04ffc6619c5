// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"
#include "local_buffer.h"
#include "replicate_options.h"

namespace mooncake::python {
namespace {

namespace py = pybind11;
using namespace py::literals;

using Descriptor = Replica::Descriptor;

void bindConfig(py::module_& module) {
    py::enum_<SoftPinAction>(module, "SoftPinAction", "What a put does about the soft pin.",
                             py::module_local())
        .value("PRESERVE", SoftPinAction::PRESERVE)
        .value("ENABLE", SoftPinAction::ENABLE)
        .value("DISABLE", SoftPinAction::DISABLE);
    using Options = ReplicateOptions;
    py::class_<Options>(module, "ReplicateConfig", py::module_local(),
                        "How an object is to be kept. An attribute that it has not raises "
                        "AttributeError.")
        .def(py::init([](const py::kwargs& fields) {
                 py::object self = py::cast(Options());
                 for (const auto& [name, value] : fields) {
                     if (!py::hasattr(self, name)) {
                         throw py::type_error("ReplicateConfig() has no '" +
                                              name.cast<std::string>() + "'");
                     }
                     self.attr(name) = value;
                 }
                 return self.cast<Options>();
             }),
             "Each attribute may be given by its name.")
        .def_readwrite("replica_num", &Options::replica_num,
                       "Copies, 1 to 16, each on another node; where fewer nodes have room, so "
                       "many as there are.")
        .def_readwrite("with_soft_pin", &Options::with_soft_pin,
                       "Evicted after the objects that are not pinned.")
        .def_readwrite("with_hard_pin", &Options::with_hard_pin, "Never evicted.")
        .def_readwrite("preferred_segment", &Options::preferred_segment,
                       "The node for the first copy, as get_hostname() there gives it, or its "
                       "host. Empty: any.")
        .def_readwrite("preferred_segments", &Options::preferred_segments,
                       "Nodes for further copies, the dearest first.")
        .def_readwrite("prefer_alloc_in_same_node", &Options::prefer_alloc_in_same_node,
                       "Without effect: a copy is on one node where that has room.")
        .def_readwrite("soft_pin_action", &Options::soft_pin_action,
                       "ENABLE is with_soft_pin = True.")
        .def_readwrite("soft_pin_ttl_ms", &Options::soft_pin_ttl_ms,
                       "None or milliseconds. Only with a soft pin, which does not end by itself.")
        .def_readwrite("nof_replica_num", &Options::nof_replica_num,
                       "Copies on NVMe-oF, as all are here: the larger of this and replica_num "
                       "counts.")
        .def_readwrite("dfs_replica_num", &Options::dfs_replica_num, "Without effect.")
        .def_readwrite("preferred_nof_segments", &Options::preferred_nof_segments,
                       "Behind preferred_segments.")
        .def_readwrite("data_type", &Options::data_type, "An int. Without effect.")
        .def_readwrite("group_ids", &Options::group_ids, "Without effect.")
        .def("__copy__", [](const Options& self) { return self; })
        .def(
            "__deepcopy__", [](const Options& self, const py::dict&) { return self; }, "memo"_a)
        .def("__str__", &Options::text)
        .def("__repr__", &Options::text);
}

void bindHandle(py::module_& module) {
    py::class_<BufferHandle>(module, "BufferHandle", py::buffer_protocol(), py::module_local(),
                             "An object's bytes in memory of the store's local buffer, which has "
                             "room again when the last\nreference goes. Valid after close(), too. "
                             "Has the buffer protocol: memoryview(handle),\n"
                             "numpy.frombuffer(handle, ...).")
        .def(
            "ptr",
            [](const BufferHandle& self) { return reinterpret_cast<uintptr_t>(self.data()); },
            "The address of the first byte; 0 where there are none.")
        .def("size", &BufferHandle::size, "Bytes.")
        .def("__len__", &BufferHandle::size)
        .def_buffer([](BufferHandle& self) {
            return py::buffer_info(self.data(), 1, "c", static_cast<py::ssize_t>(self.size()));
        });
}

void bindReplicas(py::module_& module) {
    py::enum_<ReplicaStatus>(module, "ReplicaStatus",
                             "COMPLETE, or FAILED for a copy that cannot be reached now.",
                             py::module_local())
        .value("UNDEFINED", ReplicaStatus::UNDEFINED)
        .value("INITIALIZED", ReplicaStatus::INITIALIZED)
        .value("PROCESSING", ReplicaStatus::PROCESSING)
        .value("COMPLETE", ReplicaStatus::COMPLETE)
        .value("REMOVED", ReplicaStatus::REMOVED)
        .value("FAILED", ReplicaStatus::FAILED);
    using Extent = Replica::Extent;
    py::class_<Extent>(module, "ReplicaExtent", py::module_local(),
                       "A run of an object's bytes in one region of one file.")
        .def_readonly("file", &Extent::file)
        .def_readonly("region", &Extent::region)
        .def_readonly("generation", &Extent::generation)
        .def_readonly("offset", &Extent::offset, "Bytes from the begin of the region.")
        .def_readonly("length", &Extent::length, "Bytes.");
    py::class_<Descriptor>(module, "ReplicaDescriptor", py::module_local(),
                           "One copy, as it was when it was asked for.")
        .def_readonly("status", &Descriptor::status)
        .def_readonly("segment", &Descriptor::segment,
                      "The node that serves it now; empty where none does.")
        .def_readonly("extents", &Descriptor::extents)
        .def("is_memory_replica", &Descriptor::is_memory_replica, "False: copies are in files.")
        .def("is_disk_replica", &Descriptor::is_disk_replica, "True.")
        .def(
            "is_local_disk_replica", [](const Descriptor&) { return false; },
            "False: a copy in a node's file can be read by every node.");
}

}  // namespace

void bindTypes(py::module_& module) {
    bindConfig(module);
    bindHandle(module);
    bindReplicas(module);
}

}  // namespace mooncake::python
