// SPDX-License-Identifier: Apache-2.0
#include "fake_host.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

#include "initiator_impl.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace fs = std::filesystem;

FakeHost::FakeHost() {
    std::string pattern = (fs::temp_directory_path() / "fake-host.XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), pattern);
    }
    root_ = pattern;
    for (const auto& dir :
         {sys() / "class/nvme", sys() / "class/nvme-subsystem", sys() / "dev/block",
          sys() / "making", root_ / "run", dev(), etc() / "nvme"}) {
        fs::create_directories(dir);
    }
}

FakeHost::~FakeHost() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

InitiatorOptions FakeHost::options() const {
    InitiatorOptions options;
    options.connectTimeout = std::chrono::seconds(20);
    options.hostNqn = kHostNqn;
    options.sysRoot = sys();
    options.devRoot = dev();
    options.etcRoot = etc();
    options.runRoot = root_ / "run";
    return options;
}

void FakeHost::write(const fs::path& file, const std::string& text) {
    std::ofstream(file, std::ios::trunc) << text << "\n";
}

std::string FakeHost::read(const fs::path& file) {
    std::ifstream stream(file);
    std::string text;
    std::getline(stream, text);
    return text;
}

namespace {

// "traddr=192.0.2.7,trsvcid=4420,src_addr=192.0.2.1" as the kernel tells it udev.
std::string ueventOf(const FakeController& controller) {
    std::map<std::string, std::string> fields;
    std::istringstream address(controller.address);
    for (std::string field; std::getline(address, field, ',');) {
        const size_t equals = field.find('=');
        if (equals != std::string::npos) fields[field.substr(0, equals)] = field.substr(equals + 1);
    }
    std::string text = "MAJOR=244\nMINOR=0\nDEVNAME=" + controller.name +
                       "\nNVME_TRTYPE=" + controller.transport + "\n";
    if (fields.empty()) return text;
    for (const auto& [key, name] : {std::pair("NVME_TRADDR", "traddr"),
                                    {"NVME_TRSVCID", "trsvcid"},
                                    {"NVME_HOST_TRADDR", "host_traddr"},
                                    {"NVME_HOST_IFACE", "host_iface"}}) {
        text += std::string(key) + "=" + (fields[name].empty() ? "none" : fields[name]) + "\n";
    }
    return text;
}

}  // namespace

// A folder with a larger inode than all before, as the kernel's have. A file system gives them in
// whatever order, so some are made at a time.
fs::path FakeHost::newFolder() {
    const std::lock_guard lock(foldersMutex_);
    // A forked child has used some of the same.
    std::erase_if(folders_, [](const auto& one) { return !fs::exists(one.second); });
    while (folders_.empty()) {
        constexpr int kAtATime = 32;
        for (int i = 0; i < kAtATime; ++i) {
            const fs::path folder = sys() / "making" / ("new." + std::to_string(++foldersMade_));
            fs::create_directory(folder);
            struct stat status {};
            if (stat(folder.c_str(), &status) == 0 && status.st_ino > lastInode_) {
                folders_.emplace(status.st_ino, folder);
            }
        }
    }
    const auto first = folders_.extract(folders_.begin());
    lastInode_ = first.key();
    return first.mapped();
}

void FakeHost::addController(const FakeController& controller) {
    // Complete before it can be seen, as in the kernel.
    const fs::path making = newFolder();
    write(making / "subsysnqn", controller.nqn);
    write(making / "transport", controller.transport);
    write(making / "address", controller.address);
    write(making / "uevent", ueventOf(controller));
    write(making / "state", controller.state);
    write(making / "hostnqn", controller.hostNqn);
    write(making / "hostid", controller.hostId);
    write(making / "fast_io_fail_tmo", controller.fastIoFail);
    write(making / "rescan_controller", "");
    fs::rename(making, controllerDir(controller.name));
}

void FakeHost::removeController(const std::string& name) {
    // In one step, as in the kernel; somebody else may be doing the same. The folder stays, empty:
    // the kernel gives no inode twice.
    const fs::path gone = sys() / "making" / ("gone." + std::to_string(++removals_));
    std::error_code ignored;
    fs::rename(controllerDir(name), gone, ignored);
    // Without the library's memory, of which a test may leave none: fs::remove_all() dies of that.
    nftw(
        gone.c_str(),
        [](const char* path, auto, auto, FTW* at) { return at->level > 0 ? ::remove(path) : 0; }, 8,
        FTW_DEPTH | FTW_PHYS);
}

void FakeHost::setState(const std::string& controller, const std::string& state) {
    const fs::path making = sys() / "making" / (controller + ".state");
    write(making, state);
    fs::rename(making, controllerDir(controller) / "state");
}

void FakeHost::addSubsystem(const std::string& name, const std::string& nqn,
                            const std::string& controller) {
    fs::create_directory(subsystemDir(name));
    write(subsystemDir(name) / "subsysnqn", nqn);
    fs::create_symlink("../../nvme/" + controller, subsystemDir(name) / controller);
}

void FakeHost::addDisk(const fs::path& parent, const std::string& nqn, const FakeDisk& disk) {
    const fs::path making = sys() / "making" / disk.name;
    fs::create_directories(making / "queue");
    write(making / "nsid", std::to_string(disk.nsid));
    write(making / "uuid", disk.uuid.empty() ? namespaceUuid(nqn, disk.nsid) : disk.uuid);
    write(making / "size", std::to_string(disk.sectors));
    write(making / "queue/logical_block_size", disk.blockSize);
    write(making / "queue/nomerges", "0");
    fs::create_symlink("..", making / "device");
    fs::rename(making, parent / disk.name);
    const fs::path link = sys() / "dev/block" / ("259:" + std::to_string(disk.minor));
    fs::remove(link);
    fs::create_symlink(parent / disk.name, link);
    addNode(disk.name, disk.minor);
}

void FakeHost::addNode(const std::string& name, unsigned minor) {
    const fs::path making = sys() / "making" / (name + ".node");
    write(making, std::to_string(minor));
    fs::rename(making, dev() / name);
}

DeviceOpen FakeHost::deviceOpen() const {
    return [](const std::string& path, int flags) -> Result<OpenedDevice> {
        UniqueFd fd(::open(path.c_str(), flags));
        if (!fd.valid()) return makeError(errno, path);
        char text[16] = {};
        if (pread(fd.get(), text, sizeof(text) - 1, 0) < 0) return makeError(errno, path);
        return OpenedDevice{std::move(fd), makedev(259, std::atoi(text))};
    };
}

Result<std::string> FakeFabrics::connect(const Path& path, const std::string& subsystemNqn,
                                         const HostIdentity& host, const InitiatorOptions& options,
                                         const Probed& probed) {
    const TransportAddress& address = path.target;
    std::string shown = "traddr=" + address.traddr + ",trsvcid=" + address.trsvcid;
    if (!path.from.address.empty()) shown += ",host_traddr=" + path.from.address;
    if (!path.from.interface.empty()) shown += ",host_iface=" + path.from.interface;
    ++connects;
    connectsWithOldKeys = probed.withOldKeys;
    ++connectsUnderWay;
    onConnect();
    const std::lock_guard lock(mutex_);
    onAddress(address);
    --connectsUnderWay;
    lastHost_ = host;
    if (const int code = failWith) return makeError(code, "fake connect");
    FakeController controller;
    for (int i = 0;; ++i) {
        controller.name = "nvme" + std::to_string(i);
        const fs::path dir = host_.controllerDir(controller.name);
        if (!fs::exists(dir)) break;
        if (FakeHost::read(dir / "subsysnqn") == subsystemNqn &&
            FakeHost::read(dir / "address").starts_with(shown) &&
            FakeHost::read(dir / "hostnqn") == host.nqn) {
            return makeError(EALREADY, "fake connect");
        }
    }
    controller.nqn = claimsToBe.empty() ? subsystemNqn : claimsToBe;
    controller.transport = address.trtype;
    controller.address = shown;
    controller.hostNqn = host.nqn;
    controller.hostId = host.id;
    controller.fastIoFail = std::to_string(options.fastIoFail.count());
    host_.addController(controller);
    ++made;
    afterConnect();
    return controller.name;
}

Result<Probed> FakeFabrics::probe(const Path& path, const std::string&, const HostIdentity&,
                                  const InitiatorOptions&, std::chrono::steady_clock::time_point,
                                  const std::stop_token& stop) {
    ++probes;
    if (const int code = failProbeWith) return makeError(code, "fake probe");
    if (const int code = onProbe(path, stop)) return makeError(code, "fake probe");
    return Probed{path.target.trtype == "tcp", withOldKeys};
}

Result<> FakeFabrics::disconnect(int controllerDir, const std::string& name, Haste) {
    onDisconnect();
    const std::lock_guard lock(mutex_);
    struct stat held {};
    struct stat named {};
    if (fstat(controllerDir, &held) != 0) return makeError(errno, name);
    // The kernel's attributes belong to the opened folder, not to the name.
    if (stat(host_.controllerDir(name).c_str(), &named) != 0 || held.st_ino != named.st_ino) {
        return {};
    }
    ++disconnects;
    host_.removeController(name);
    return {};
}

HostIdentity FakeFabrics::lastHost() const {
    const std::lock_guard lock(mutex_);
    return lastHost_;
}

std::unique_ptr<Initiator> makeInitiator(const FakeHost& host, std::shared_ptr<Fabrics> fabrics) {
    return makeInitiator(host, std::move(fabrics), host.options());
}

std::unique_ptr<Initiator> makeInitiator(const FakeHost& host, std::shared_ptr<Fabrics> fabrics,
                                         const InitiatorOptions& options) {
    return std::make_unique<InitiatorImpl>(options, std::move(fabrics),
                                           HostIdentity{kHostNqn, kHostId}, host.deviceOpen());
}

bool eventually(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace mooncake::nvmeof_generic
