// SPDX-License-Identifier: Apache-2.0
// A host without a kernel: /sys, /dev and /etc in a temporary folder, and a Fabrics that makes and
// removes controllers there as the kernel would.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "namespace_opener.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

namespace mooncake::nvmeof_generic {

inline const std::string kNqn =
    "nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:0b5c1fd8-3c7e-4a86-9d0b-6f3f4f2f1a01";
inline const std::string kOtherNqn =
    "nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:7e0fd0a9-1111-4222-8333-444455556666";
inline const std::string kHostNqn =
    "nqn.2014-08.org.nvmexpress:uuid:4d2f4b3a-9c7e-4f0a-8a55-0c1d2e3f4a5b";
inline const std::string kHostId = "4d2f4b3a-9c7e-4f0a-8a55-0c1d2e3f4a5b";
inline const TransportAddress kAddress{"tcp", "ipv4", "192.0.2.7", "4420"};

/// What the kernel shows of a controller.
struct FakeController {
    std::string name;
    std::string nqn = kNqn;
    std::string transport = "tcp";
    std::string address = "traddr=192.0.2.7,trsvcid=4420,src_addr=192.0.2.1";
    std::string state = "live";
    std::string hostNqn = kHostNqn;
    std::string hostId = kHostId;
    std::string fastIoFail = "2";
};

/// What the kernel shows of a namespace's block device.
struct FakeDisk {
    std::string name;  ///< "nvme0n1"
    uint32_t nsid = 1;
    std::string uuid = "";    ///< empty: the right one for nqn
    uint64_t sectors = 2048;  ///< of 512 bytes
    std::string blockSize = "4096";
    unsigned minor = 1;
};

class FakeHost {
 public:
    FakeHost();
    ~FakeHost();
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;

    std::filesystem::path sys() const { return root_ / "sys"; }
    std::filesystem::path dev() const { return root_ / "dev"; }
    std::filesystem::path etc() const { return root_ / "etc"; }
    std::filesystem::path controllerDir(const std::string& name) const {
        return sys() / "class/nvme" / name;
    }
    std::filesystem::path subsystemDir(const std::string& name) const {
        return sys() / "class/nvme-subsystem" / name;
    }

    /// Options with short times, for this host.
    InitiatorOptions options() const;

    void addController(const FakeController& controller);
    void removeController(const std::string& name);
    void setState(const std::string& controller, const std::string& state);
    /// A subsystem with a link to one of its controllers.
    void addSubsystem(const std::string& name, const std::string& nqn,
                      const std::string& controller);
    /// A block device below a controller's or a subsystem's folder, with number 259:<minor> and
    /// its node.
    void addDisk(const std::filesystem::path& parent, const std::string& nqn, const FakeDisk& disk);
    void addNode(const std::string& name, unsigned minor);

    /// Opens the nodes that addNode() made.
    DeviceOpen deviceOpen() const;

    static void write(const std::filesystem::path& file, const std::string& text);
    static std::string read(const std::filesystem::path& file);

 private:
    std::filesystem::path newFolder();

    std::filesystem::path root_;
    std::atomic<int> removals_{0};
    std::mutex foldersMutex_;
    std::map<uint64_t, std::filesystem::path> folders_;  // by inode; guarded by foldersMutex_
    uint64_t lastInode_ = 0;                             // guarded by foldersMutex_
    int foldersMade_ = 0;                                // guarded by foldersMutex_
};

/// Thread-safe. Like the kernel it makes one connection at a time, numbers controllers, refuses a
/// second connection of a host to a subsystem over the same path, and recycles names.
class FakeFabrics : public Fabrics {
 public:
    explicit FakeFabrics(FakeHost& host) : host_(host) {}

    Result<std::string> connect(const Path& path, const std::string& subsystemNqn,
                                const HostIdentity& host, const InitiatorOptions& options,
                                const Probed& probed) override;
    Result<Probed> probe(const Path& path, const std::string& subsystemNqn,
                         const HostIdentity& host, const InitiatorOptions& options,
                         std::chrono::steady_clock::time_point deadline,
                         const std::stop_token& stop) override;
    bool provokeAnswer(int, const std::string& name) override { return onProvoke(name); }
    std::function<bool(const std::string& controller)> onProvoke = [](const auto&) { return true; };
    void provokeIoAnswers(int, int) override { onProvokeIo(); }
    std::function<void()> onProvokeIo = [] {};
    void reset(int, const std::string&) override { ++resets; }
    std::atomic<int> resets{0};
    Result<> disconnect(int controllerDir, const std::string& name, Haste haste) override;

    std::function<void()> onConnect = [] {};  ///< runs first, with nothing locked
    std::function<void(const TransportAddress&)> onAddress = [](const auto&) {};  ///< then this
    std::function<void()> afterConnect = [] {};  ///< the controller is there
    std::function<void()> onDisconnect = [] {};  ///< runs first, with nothing locked
    /// Gives the errno of a probe.
    std::function<int(const Path&, const std::stop_token&)> onProbe = [](const auto&, const auto&) {
        return 0;
    };
    std::atomic<int> failProbeWith{0};             ///< errno of the next probes
    std::atomic<bool> withOldKeys{false};          ///< what the next probes say
    std::atomic<bool> connectsWithOldKeys{false};  ///< what the last connect was told
    std::atomic<int> failWith{0};                  ///< errno of the next connects
    std::atomic<int> connects{0};                  ///< attempts
    std::atomic<int> made{0};
    std::atomic<int> probes{0};
    std::string claimsToBe;  ///< the NQN that targets give in Identify; empty: the one asked for
    std::atomic<int> disconnects{0};
    std::atomic<int> connectsUnderWay{0};
    HostIdentity lastHost() const;

 private:
    FakeHost& host_;
    mutable std::mutex mutex_;
    HostIdentity lastHost_;
};

/// An initiator on a fake host.
std::unique_ptr<Initiator> makeInitiator(const FakeHost& host, std::shared_ptr<Fabrics> fabrics);
std::unique_ptr<Initiator> makeInitiator(const FakeHost& host, std::shared_ptr<Fabrics> fabrics,
                                         const InitiatorOptions& options);

/// Waits until a condition holds, with a limit that no working program needs.
bool eventually(const std::function<bool()>& condition);

}  // namespace mooncake::nvmeof_generic
