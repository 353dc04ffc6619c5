// SPDX-License-Identifier: Apache-2.0
// setup(), close() and what concerns the node.
#include "arguments.h"
#include "bindings.h"
#include "reach.h"
#include "results.h"
#include "unlocked.h"

namespace mooncake::python {
namespace {

namespace py = pybind11;
using namespace py::literals;

void warn(const std::string& text) {
    if (PyErr_WarnEx(PyExc_RuntimeWarning, text.c_str(), 1) != 0) throw py::error_already_set();
}

// An engine of another library cannot serve this store's files.
void warnOfEngine(const py::object& engine) {
    if (!engine.is_none()) warn("engine is not used: the store makes one of its own");
}

int64_t setup(Store& self, const std::string& local_hostname, const std::string& metadata_server,
              uint64_t global_segment_size, uint64_t local_buffer_size, const std::string& protocol,
              const std::string& rdma_devices, const std::string& master_server_addr,
              const py::object& engine, bool enable_ssd_offload,
              const std::string& ssd_offload_path, const std::string& tenant_id,
              bool enable_client_http_server, int /*client_http_port*/, const py::kwargs& others) {
    for (const auto& [name, value] : others) {
        throw py::type_error("setup() got an unexpected keyword argument '" +
                             name.cast<std::string>() + "'");
    }
    warnOfEngine(engine);
    if (enable_client_http_server) {
        warn("enable_client_http_server has no effect: call metrics() and health_check()");
    }
    if (tenant_id != "default") {
        setLastError("setup: there are no tenants; give '" + tenant_id +
                     "' a directory of its own in master_server_addr");
        return kNotSetUp;
    }
    SetupRequest request;
    request.local_hostname = local_hostname;
    request.metadata_server = metadata_server;
    request.global_segment_size = global_segment_size;
    request.local_buffer_size = local_buffer_size;
    request.protocol = protocol;
    request.protocol_arg = rdma_devices;
    request.master_server_addr = master_server_addr;
    if (enable_ssd_offload) request.scratch_folder = ssd_offload_path;
    request.takeFilesOfEnvironment();
    return self.setup(request);
}

int64_t setupOfDict(Store& self, const py::dict& config) {
    std::map<std::string, std::string> values;
    for (const auto& [name, value] : config) {
        std::string text;
        if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value)) {
            for (const auto& word : value) text += py::str(word).cast<std::string>() + ' ';
        } else {
            text = py::str(value).cast<std::string>();
        }
        values[py::str(name).cast<std::string>()] = text;
    }
    const auto request = requestOf(values);
    if (request) return self.setup(*request);
    setLastError("setup: " + request.error());
    return kNotSetUp;
}

int setupWithFiles(Store& self, const std::string& local_hostname,
                   const std::string& metadata_server, const std::vector<std::string>& files,
                   uint64_t local_buffer_size, const std::string& protocol,
                   const std::string& protocol_arg, const std::string& master_server_addr,
                   const py::object& engine) {
    warnOfEngine(engine);
    SetupRequest request;
    request.local_hostname = local_hostname;
    request.metadata_server = metadata_server;
    request.local_buffer_size = local_buffer_size;
    request.protocol = protocol;
    request.protocol_arg = protocol_arg;
    request.master_server_addr = master_server_addr;
    for (const std::string& path : files) {
        if (!path.empty()) request.files.push_back(path);
    }
    return self.setup(request);
}

int initAll(Store& self, const std::string& protocol, const std::string& device_name,
            uint64_t mount_segment_size) {
    SetupRequest request;
    request.local_hostname = "localhost:12345";
    request.metadata_server = "127.0.0.1:2379";
    request.global_segment_size = mount_segment_size;
    request.local_buffer_size = uint64_t{1} << 30;
    request.protocol = protocol;
    request.protocol_arg = device_name;
    request.takeFilesOfEnvironment();
    return self.setup(request);
}

int64_t registerBuffer(Store& self, uintptr_t buffer_ptr, uint64_t size) {
    const auto session = self.session();
    if (!session || buffer_ptr == 0 || size == 0) return kNotSetUp;
    if (!isReachable({sliceAt(buffer_ptr, size)}, Use::kIsRead)) {
        reportUnreachable();
        return kNotSetUp;
    }
    const auto registered = [&] {
        const Unlocked unlocked;
        return session->client().RegisterLocalMemory(reinterpret_cast<void*>(buffer_ptr), size, "*",
                                                     false, false);
    }();
    if (!registered) return kNotSetUp;
    session->memory().add(buffer_ptr, size);
    return 0;
}

int64_t unregisterBuffer(Store& self, uintptr_t buffer_ptr) {
    const auto session = self.session();
    if (!session) return kNotSetUp;
    session->memory().remove(buffer_ptr);
    const Unlocked unlocked;
    const auto done =
        session->client().unregisterLocalMemory(reinterpret_cast<void*>(buffer_ptr), false);
    return done ? 0 : kNotSetUp;
}

int healthCheck(Store& self) {
    const auto session = self.session();
    if (!session) return 1;
    const Unlocked unlocked;
    return session->client().HealthCheck() ? 0 : 2;
}

int64_t mountFile(Store& self, const std::string& path, bool overwrite) {
    const auto session = self.session();
    if (!session) return kNotSetUp;
    const Unlocked unlocked;
    return numberOf(session->client().MountFileSegment(path, MountOptions{overwrite}));
}

int64_t unmountFile(Store& self, const std::string& path) {
    const auto session = self.session();
    if (!session) return kNotSetUp;
    const Unlocked unlocked;
    return numberOf(session->client().UnmountFileSegment(path));
}

std::string metrics(Store& self) {
    const auto session = self.session();
    std::string text;
    if (!session) return text;
    const Unlocked unlocked;
    (void)session->client().SerializeMetrics(text);
    return text;
}

}  // namespace

void bindSetup(StoreClass& store) {
    store.def(py::init<>(), "Not set up yet.")
        .def(
            "setup", &setup, "local_hostname"_a, "metadata_server"_a, "global_segment_size"_a,
            "local_buffer_size"_a, "protocol"_a, "rdma_devices"_a, "master_server_addr"_a,
            "engine"_a = py::none(), "enable_ssd_offload"_a = false, "ssd_offload_path"_a = "",
            "tenant_id"_a = "default", "enable_client_http_server"_a = false,
            "client_http_port"_a = 9300,
            "Joins the store.\n"
            "\n"
            "local_hostname: this node's host, or host:port; without a port it gets a free one of\n"
            "    12300 to 14300.\n"
            "metadata_server: where the engine's segments are published, or 'P2PHANDSHAKE'.\n"
            "global_segment_size: bytes that this node gives. 0: none. Else a scratch file of "
            "that\n"
            "    size (9 MiB or more) in $MC_STORE_SCRATCH_FOLDER (/var/tmp), whose objects go\n"
            "    with close(); or the files of $MC_STORE_FILES, separated by blanks, which keep\n"
            "    theirs.\n"
            "local_buffer_size: bytes for objects that calls copy (get, put, get_buffer).\n"
            "protocol: 'tcp', 'rdma', or 'nvmeof_generic' with the node's address in "
            "rdma_devices.\n"
            "master_server_addr: the directory: 'sqlite:///path' or a path,\n"
            "    'etcd://host:port[,...]' or 'host:port'; empty: $MC_STORE_DIRECTORY, else\n"
            "    /var/lib/mooncake/store.db.\n"
            "engine: not used. enable_ssd_offload: the scratch file is in ssd_offload_path.\n"
            "\n"
            "0, or a negative code; last_error() tells why.")
        .def(
            "setup", &setupOfDict, "config"_a,
            "The same from a dict. local_hostname and metadata_server must be there; sizes may be\n"
            "'16MB'; 'files' is a list of files to give in place of a scratch file.")
        .def("setup_with_files", &setupWithFiles, "local_hostname"_a, "metadata_server"_a,
             "files"_a, "local_buffer_size"_a = SetupRequest::kDefaultSize,
             "protocol"_a = "nvmeof_generic", "protocol_arg"_a = "", "master_server_addr"_a = "",
             "engine"_a = py::none(),
             "Joins the store and gives it files or block devices, which keep their objects.\n"
             "\n"
             "files: paths; empty: this node gives none.\n"
             "protocol_arg: where this node exports them, 'trtype=tcp adrfam=ipv4\n"
             "    traddr=192.0.2.1 trsvcid=4420'; empty: TCP at local_hostname's address, port\n"
             "    4420.\n"
             "The others are as in setup(). 0, or a negative code.")
        .def("init_all", &initAll, "protocol"_a, "device_name"_a,
             "mount_segment_size"_a = SetupRequest::kDefaultSize,
             "setup() as 'localhost:12345' with etcd at 127.0.0.1:2379 for metadata, a local\n"
             "buffer of 1 GiB and the default directory. 0, or a negative code.")
        .def("close", &Store::close,
             "Leaves the store; waits for the calls of other threads. 0, also where there is\n"
             "nothing to close. setup() may follow.")
        .def("health_check", &healthCheck,
             "0: healthy, 1: not set up, 2: the directory does not answer.")
        .def(
            "get_hostname",
            [](Store& self) {
                const auto session = self.session();
                return session ? session->hostname() : std::string();
            },
            "This node's name, host:port. Empty where it is not set up.")
        .def(
            "register_buffer", &registerBuffer, "buffer_ptr"_a, "size"_a,
            "Names memory that will be read into and written from. Nothing needs it. 0, or -600\n"
            "for address 0, size 0, memory that overlaps with some that is registered, and memory\n"
            "that this process cannot read, as that of a GPU.")
        .def("unregister_buffer", &unregisterBuffer, "buffer_ptr"_a,
             "0, or -600 where nothing is registered that begins there.")
        .def("mount_file_segment", &mountFile, "path"_a, "overwrite"_a = false,
             "Gives one more file or block device. overwrite: whatever it holds. 0, or a negative\n"
             "code; last_error() tells why.")
        .def("unmount_file_segment", &unmountFile, "path"_a,
             "Takes one back; its objects can be read again when it is mounted again. 0, or -600.")
        .def("metrics", &metrics, "The text that Prometheus reads. Empty where it is not set up.");
}

}  // namespace mooncake::python
