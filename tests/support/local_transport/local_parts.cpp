// SPDX-License-Identifier: Apache-2.0
// Stands in for target and initiator where there is no nvmet: a "remote" file is the local one,
// opened directly. Everything between the engine's interface and io_submit is the real thing, so
// that it can be measured against fio on the very same file. One process only (loopback), or those
// that have the same folder in MC_LOCAL_TRANSPORT_FOLDER; what one of them exported stays there
// when it is killed. With LOCAL_TRANSPORT_NETWORK=down in the environment nobody gets a connection;
// a target opens its own files all the same. With LOCAL_TRANSPORT_NETWORK=none the kernel has no
// initiator.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr uint32_t kBlockSize = 4096;

struct ServedFile {
    std::string path;
    uint64_t size;
    bool readOnly;
};

std::mutex registryMutex;

/// Files by subsystem NQN and nsid.
struct Registry : std::map<std::pair<std::string, uint32_t>, ServedFile> {
    ~Registry() { const std::lock_guard lock(registryMutex); }
};

// Those of this process's targets; under the mutex. Engines load and unload this in an order that
// is dlopen()'s, by a lock that ThreadSanitizer does not know: it begins with its first use, and
// its end has the mutex, too.
Registry& registry() {
    static Registry files;
    return files;
}

// Where other processes find a file, empty without a folder that they share.
std::string linkTo(const std::string& nqn, uint32_t nsid) {
    const char* const folder = getenv("MC_LOCAL_TRANSPORT_FOLDER");
    if (folder == nullptr) return "";
    std::string name = nqn;
    for (char& c : name) {
        if (c == '/' || c == ':') c = '_';
    }
    return std::string(folder) + "/export-" + name + "-" + std::to_string(nsid);
}

std::string pathOf(const std::string& nqn, uint32_t nsid) {
    {
        const std::lock_guard lock(registryMutex);
        const auto found = registry().find({nqn, nsid});
        if (found != registry().end()) return found->second.path;
    }
    return linkTo(nqn, nsid);
}

bool networkIs(std::string_view state) {
    const char* const network = std::getenv("LOCAL_TRANSPORT_NETWORK");
    return network != nullptr && network == state;
}

class LocalTarget final : public Target {
 public:
    explicit LocalTarget(TransportAddresses addresses)
        : nqn_(newSubsystemNqn()), addresses_(std::move(addresses)) {}

    const std::string& subsystemNqn() const override { return nqn_; }
    const TransportAddresses& addresses() const override { return addresses_; }

    Result<ExportedFile> addFile(uint32_t nsid, const std::string& path, uint64_t size,
                                 const FileRules& rules) override {
        const UniqueFd file(open(path.c_str(), (rules.readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC));
        if (!file.valid()) return makeError(errno, "open " + path);
        const uint64_t whole = size / kBlockSize * kBlockSize;
        const std::lock_guard lock(registryMutex);
        registry()[{nqn_, nsid}] = {path, whole, rules.readOnly};
        if (const std::string link = linkTo(nqn_, nsid); !link.empty()) {
            if (symlink(path.c_str(), link.c_str()) != 0) return makeError(errno, "link " + link);
        }
        return ExportedFile{nsid, path, whole, kBlockSize, ""};
    }
    void cutOff() override {}

    Result<> removeFile(uint32_t nsid) override {
        const std::lock_guard lock(registryMutex);
        registry().erase({nqn_, nsid});
        if (const std::string link = linkTo(nqn_, nsid); !link.empty()) unlink(link.c_str());
        return {};
    }
    TargetCounts counts() override {
        const std::lock_guard lock(registryMutex);
        TargetCounts counts;
        for (const auto& [where, file] : registry()) {
            if (where.first != nqn_) continue;
            ++counts.files;
            counts.bytes += file.size;
        }
        counts.anyHost = true;
        return counts;
    }
    Result<> setAllowedHosts(const std::vector<std::string>&) override { return {}; }

    bool exports(uint32_t nsid) override {
        const std::lock_guard lock(registryMutex);
        return registry().contains({nqn_, nsid});
    }

    Result<LocalFile> openLocally(uint32_t nsid, int openFlags) override {
        const std::lock_guard lock(registryMutex);
        const auto found = registry().find({nqn_, nsid});
        if (found == registry().end()) return makeError(ENOENT, "no such file");
        const auto& [path, size, readOnly] = found->second;
        const int access = readOnly ? O_RDONLY : O_RDWR;
        UniqueFd file(open(path.c_str(), access | O_CLOEXEC | openFlags));
        if (!file.valid()) return makeError(errno, "open " + path);
        return LocalFile{std::move(file), path, size, kBlockSize, readOnly};
    }

 private:
    const std::string nqn_;
    const TransportAddresses addresses_;
};

class LocalConnection final : public Connection {
 public:
    explicit LocalConnection(std::string nqn) : nqn_(std::move(nqn)) {}
    const std::string& subsystemNqn() const override { return nqn_; }
    bool isLive() const override { return true; }
    bool isReconnecting() const override { return false; }
    bool isOurs() const override { return false; }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>&) override { return true; }
    void giveUp() override {}

 private:
    const std::string nqn_;
};

class LocalInitiator final : public Initiator {
 public:
    Result<std::shared_ptr<Connection>> connect(const TransportAddresses&,
                                                const std::string& subsystemNqn) override {
        if (networkIs("down")) return makeError(ECONNREFUSED, "the network is down");
        const std::lock_guard lock(mutex_);
        std::weak_ptr<Connection>& known = connections_[subsystemNqn];
        // Another one would mean to a segment that the first is lost, and its open files with it.
        std::shared_ptr<Connection> connection = known.lock();
        if (connection == nullptr) {
            connection = std::make_shared<LocalConnection>(subsystemNqn);
            known = connection;
        }
        return connection;
    }

    Result<RemoteNamespace> openNamespace(const Connection& connection, uint32_t nsid,
                                          uint64_t size, int openFlags,
                                          std::chrono::steady_clock::time_point) override {
        const std::string path = pathOf(connection.subsystemNqn(), nsid);
        UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC | openFlags));
        if (!file.valid()) return makeError(errno, "open " + path);
        return RemoteNamespace{std::move(file), path, size, kBlockSize};
    }

 private:
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<Connection>> connections_;  // by NQN, under mutex_
};

}  // namespace

Result<std::unique_ptr<Target>> Target::start(const TransportAddresses& addresses,
                                              const TargetOptions&, std::shared_ptr<ConfigTree>) {
    return std::unique_ptr<Target>(std::make_unique<LocalTarget>(addresses));
}

Result<std::unique_ptr<Initiator>> Initiator::create(const InitiatorOptions&,
                                                     std::shared_ptr<Fabrics>) {
    if (networkIs("none")) return makeError(ENOENT, "/dev/nvme-fabrics");
    return std::unique_ptr<Initiator>(std::make_unique<LocalInitiator>());
}

}  // namespace mooncake::nvmeof_generic
