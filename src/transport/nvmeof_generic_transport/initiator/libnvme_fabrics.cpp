// SPDX-License-Identifier: Apache-2.0
// The one file that knows libnvme, versions 1.0 to 1.16. Only what creates a controller is used:
// - Nothing that scans the topology: in 1.3 a controller that vanishes meanwhile can crash the
//   process, and scanning sends commands to devices that may not answer.
// - A root of its own for each call, one call at a time: libnvme has no locking.
// - Disconnecting is not here: it needs a scan first, or a controller's name, which may be
//   another controller's by then. See kernel_fabrics.cpp.
#include "libnvme_fabrics.h"

#include <glog/logging.h>
#include <libnvme.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <vector>

#include "connect_error.h"
#include "key_pairs.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr int kFirstLibnvmeCode = 1000;  // enum nvme_connect_err begins here in every version

// An attempt of the kernel's to restore a connection over RDMA whose target has fallen silent takes
// more than a minute, and until it is over the controller cannot be removed (Linux 6.12: 76 s). So
// it is to be given up before the first one: what it has fails after fastIoFail, and that takes a
// moment to be seen.
constexpr std::chrono::seconds kBeforeRdmaAttempt{2};

std::mutex libnvmeMutex;

// A forked child may find it in the hands of a thread of its parent, which is not there.
[[maybe_unused]] const int forkHandled =
    pthread_atfork(nullptr, nullptr, [] { new (&libnvmeMutex) std::mutex; });

struct FreeTree {
    void operator()(nvme_root_t root) const { nvme_free_tree(root); }
};
struct CloseFile {
    void operator()(FILE* file) const { fclose(file); }
};
using Tree = std::unique_ptr<nvme_root, FreeTree>;
using File = std::unique_ptr<FILE, CloseFile>;

// Takes libnvme's messages off the standard error stream. A real file, since from 1.10 on libnvme
// writes to the descriptor behind the stream.
File openMessages() {
    const int fd = memfd_create("libnvme", MFD_CLOEXEC);
    if (fd < 0) return nullptr;
    File file(fdopen(fd, "w+"));
    if (!file) {
        const int code = errno;
        close(fd);
        errno = code;
    }
    return file;
}

std::string readMessages(const File& file) {
    fflush(file.get());
    std::string text(4096, '\0');
    const ssize_t length = pread(fileno(file.get()), text.data(), text.size(), 0);
    text.resize(length > 0 ? static_cast<size_t>(length) : 0);
    return text;
}

// For most failures libnvme replaces the kernel's errno by a code of its own that means "some
// error"; only its message still has the text.
int kernelErrno(int code, std::string_view messages) {
    if (code > 0 && code < kFirstLibnvmeCode) return code;
    constexpr std::string_view kDevice = "/dev/nvme-fabrics: ";
    constexpr int kLastErrno = 133;
    if (const size_t start = messages.rfind(kDevice); start != std::string_view::npos) {
        const std::string_view rest = messages.substr(start + kDevice.size());
        const std::string_view text = rest.substr(0, rest.find('\n'));
        char buffer[256];
        for (int number = 1; number <= kLastErrno; ++number) {
            if (text == strerror_r(number, buffer, sizeof(buffer))) return number;
        }
    }
    return EIO;
}

// libnvme copies keys and frees its copies as they are.
void wipe(const char* key) {
    if (key != nullptr) explicit_bzero(const_cast<char*>(key), strlen(key));
}

// Hands the keys to libnvme for as long as this lives. The kernel's option string, which libnvme
// makes and frees by itself, is out of reach.
class KeysInUse {
 public:
    KeysInUse(const KeyPair& key, nvme_host_t host, nvme_ctrl_t controller)
        : host_(host), controller_(controller) {
        if (key.host != nullptr) nvme_host_set_dhchap_key(host, key.host->text());
        if (key.controller != nullptr) nvme_ctrl_set_dhchap_key(controller, key.controller->text());
    }
    ~KeysInUse() {
        wipe(nvme_host_get_dhchap_key(host_));
        wipe(nvme_ctrl_get_dhchap_key(controller_));
    }
    KeysInUse(const KeysInUse&) = delete;
    KeysInUse& operator=(const KeysInUse&) = delete;

 private:
    const nvme_host_t host_;
    const nvme_ctrl_t controller_;
};

// The kernel shows a controller's keys to every local user.
void hideKeys(const std::string& sysRoot, const std::string& controller) {
    for (const char* name : {"dhchap_secret", "dhchap_ctrl_secret"}) {
        const std::string path = sysRoot + "/class/nvme/" + controller + "/" + name;
        if (chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 && errno != ENOENT) {
            PLOG(WARNING) << "cannot hide " << path << " from other users of this machine";
        }
    }
}

// The controller that the kernel made, also where libnvme failed after that.
std::string controllerName(nvme_ctrl_t controller, const std::string& messages) {
    if (const char* name = nvme_ctrl_get_name(controller)) return name;
    // "nvme3: nqn.... connected", from where libnvme knows the number.
    constexpr std::string_view kEnd = " connected\n";
    const size_t end = messages.find(kEnd);
    if (end == std::string::npos) return {};
    const size_t newline = messages.rfind('\n', end);
    const size_t start = newline == std::string::npos ? 0 : newline + 1;
    int instance = 0;
    if (sscanf(messages.c_str() + start, "nvme%d:", &instance) != 1) return {};
    return "nvme" + std::to_string(instance);
}

// The settings that libnvme's nvmf_default_config() fills and nvmf_add_ctrl() reads. The library at
// run time may be newer than its header here and its struct larger; the members used below have
// been at the same place in every version.
union Settings {
    nvme_fabrics_config config;
    char room[1024];
};

}  // namespace

namespace {

Result<std::string> connectWith(const KeyPair& key, const Path& path,
                                const std::string& subsystemNqn, const HostIdentity& host,
                                const InitiatorOptions& options) {
    const TransportAddress& address = path.target;
    const auto failed = [&](int code) { return connectError(code, path, subsystemNqn, host.nqn); };
    // RDMA takes no interfaces.
    const bool rdma = address.trtype == "rdma";
    const auto source = rdma ? sourceAddress(path) : Result<std::string>(path.from.address);
    if (!source.ok()) return source.error();
    const auto orNull = [](const std::string& text) {
        return text.empty() ? nullptr : text.c_str();
    };
    const File messages = openMessages();
    if (!messages) return failed(errno);
    const Tree root(nvme_create_root(messages.get(), LOG_INFO));
    if (!root) return failed(ENOMEM);
    const nvme_host_t self = nvme_lookup_host(root.get(), host.nqn.c_str(), host.id.c_str());
    if (self == nullptr) return failed(ENOMEM);
    const nvme_ctrl_t controller =
        nvme_create_ctrl(root.get(), subsystemNqn.c_str(), address.trtype.c_str(),
                         address.traddr.c_str(), orNull(source.value()),
                         rdma ? nullptr : orNull(path.from.interface), address.trsvcid.c_str());
    if (controller == nullptr) return failed(ENOMEM);

    Settings settings{};
    nvmf_default_config(&settings.config);
    settings.config.keep_alive_tmo = static_cast<int>(options.keepAlive.count());
    settings.config.reconnect_delay = static_cast<int>(
        (rdma ? std::max(options.reconnectDelay, options.fastIoFail + kBeforeRdmaAttempt)
              : options.reconnectDelay)
            .count());
    settings.config.fast_io_fail_tmo = static_cast<int>(options.fastIoFail.count());
    settings.config.ctrl_loss_tmo = static_cast<int>(options.controllerLoss.count());
    settings.config.nr_io_queues = static_cast<int>(options.ioQueues);
    settings.config.queue_size = static_cast<int>(options.queueDepth);

    int status = 0, code = 0;
    {
        const KeysInUse keys(key, self, controller);
        errno = 0;
        status = nvmf_add_ctrl(self, controller, &settings.config);
        code = errno;
    }
    const std::string text = readMessages(messages);
    const std::string name = controllerName(controller, text);
    // The tree owns the controller from where it is part of a subsystem on.
    if (nvme_ctrl_get_subsystem(controller) == nullptr) nvme_free_ctrl(controller);
    if (!name.empty()) {
        hideKeys(options.sysRoot, name);
        return name;
    }
    return failed(status < 0 ? kernelErrno(code, text) : ENODEV);
}

}  // namespace

Result<std::string> connectWithLibnvme(const Path& path, const std::string& subsystemNqn,
                                       const HostIdentity& host, const InitiatorOptions& options,
                                       const Probed& probed) {
    const std::lock_guard lock(libnvmeMutex);
    const auto key = readHostKey(options);
    if (!key.ok()) return key.error();
    std::vector<KeyPair> pairs = keyPairs(key.value());
    if (probed.withOldKeys) std::reverse(pairs.begin(), pairs.end());
    bool old = false;
    auto made = withEither(pairs, [&](const KeyPair& keys) {
        old = keys.old;
        return connectWith(keys, path, subsystemNqn, host, options);
    });
    if (made.ok() && old) {
        LOG(INFO) << subsystemNqn << " at " << toString(path)
                  << " has the old key of this host still";
    }
    return made;
}

}  // namespace mooncake::nvmeof_generic
