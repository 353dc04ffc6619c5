// SPDX-License-Identifier: Apache-2.0
// The target part: exports local files and block devices through the kernel's nvmet.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "transport/nvmeof_generic_transport/common/open_path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

class ConfigTree;  // the operations on configfs, replaceable so that tests can fail each one

struct TargetOptions {
    /// Host NQNs; empty, and without allowedHostsFile: any host may connect (logged as a warning
    /// unless the address is loopback).
    std::vector<std::string> allowedHosts;
    /// Absolute path of a file with host NQNs, one a line, instead: it is watched, and its changes
    /// take effect while the target runs. An empty file lets nobody in.
    std::string allowedHostsFile;
    /// Absolute path of a folder with a key file (readKeyFile()) for each allowed host, called by
    /// its NQN: no host is let in that has not proved who it is (DH-HMAC-CHAP). Empty: a host is
    /// who it says. Needs a list of hosts.
    std::string dhchapKeys;
    /// Export block devices that are mounted, or held by LVM, RAID or swap, all the same.
    bool exportBusyDevices = false;
    /// Whether the folders of the paths are judged (openPath()): of files, of allowedHostsFile and
    /// of dhchapKeys.
    PathCheck pathCheck = PathCheck::kOn;
    /// What the files belong to, for the operator's tool; may be empty.
    std::string segment;
    /// Whether openLocally() is to work: it keeps a descriptor (O_PATH) of each file.
    bool localAccess = false;
    /// Told of a file that is exported no more because it was truncated, deleted, renamed or
    /// replaced, or somebody else has removed it from nvmet. Called on a thread of the target, not
    /// after the target's end; must neither block nor call the target.
    std::function<void(uint32_t nsid)> fileLost;
    /// How long to wait for the kernel while it removes nothing at all: a namespace stays until its
    /// disk has ended the I/O in flight.
    std::chrono::milliseconds removalLimit{10000};
    /// How long to wait for a file system that does not get on with reserving a file's space.
    std::chrono::milliseconds spaceLimit{10000};
    /// Between two attempts to serve at an address that was not there.
    std::chrono::milliseconds addressInterval{2000};
    /// How often to look whether somebody else has changed in nvmet what the target made.
    std::chrono::milliseconds lookInterval{5000};
    std::string nvmetRoot = "/sys/kernel/config/nvmet";  ///< another folder in unit tests
    std::string devRoot = "/dev";                        ///< where the loop devices are
};

/// How one file is exported.
struct FileRules {
    /// The kernel fails every remote write, discard and the like, and leaves the bytes alone.
    bool readOnly = false;
    /// Where kOff, the folders of this path are not judged, whatever TargetOptions says.
    PathCheck pathCheck = PathCheck::kOn;
};

/// What a remote host sees of an exported file.
struct ExportedFile {
    uint32_t nsid;
    std::string path;    ///< as registered
    uint64_t size;       ///< bytes that a remote host reaches: as wanted, rounded down to blockSize
    uint32_t blockSize;  ///< bytes; offset and length of remote I/O must be multiples of it
    std::string uuid;    ///< of the file itself: the same in each incarnation and under each nsid
};

/// An exported file, opened past the network. The same bytes of the same file as remote hosts
/// reach.
struct LocalFile {
    UniqueFd fd;
    std::string path;    ///< as registered
    uint64_t size;       ///< as ExportedFile
    uint32_t blockSize;  ///< as ExportedFile
    bool readOnly;       ///< the descriptor cannot be written to
};

/// What a target exports now, and what it has lost.
struct TargetCounts {
    uint64_t files = 0;
    uint64_t bytes = 0;                         ///< that remote hosts reach
    std::map<std::string, uint64_t> withdrawn;  ///< files, by TargetStats' reasons
    bool anyHost = false;
    uint64_t allowedHosts = 0;
};

/// One incarnation of a target: one subsystem with a new random NQN, on one port for each address.
/// Thread-safe, except that no call may run while it is destroyed.
class Target {
 public:
    /// Removes the orphans of dead targets of this transport, makes the subsystem and links it to a
    /// port at each address (shared with other live targets of this transport at the same address
    /// in the same network namespace, the calling thread's). Of several addresses, those that the
    /// host does not have (yet) are added when they come, as long as one is there. On failure
    /// everything made is removed again. Waits for the I/O in flight of the orphans, so that no
    /// write to a dead incarnation lands after the new one has begun; an orphan that does not go
    /// within options.removalLimit is logged and left to the next start.
    /// @param tree  nullptr: the real file system
    /// @return EINVAL (address, host NQN, file of hosts, key), EOPNOTSUPP (keys are given and the
    ///     kernel's target cannot authenticate), ENOENT (configfs not mounted or nvmet not loaded),
    ///     EACCES (not root), EADDRNOTAVAIL, EADDRINUSE ...; the message says which and what to do
    static Result<std::unique_ptr<Target>> start(const TransportAddresses& addresses,
                                                 const TargetOptions& options,
                                                 std::shared_ptr<ConfigTree> tree = nullptr);
    static Result<std::unique_ptr<Target>> start(const TransportAddress& address,
                                                 const TargetOptions& options,
                                                 std::shared_ptr<ConfigTree> tree = nullptr) {
        return start(TransportAddresses{address}, options, std::move(tree));
    }

    /// Removes every object this target made, and nothing else. Waits for I/O in flight, but no
    /// longer than options.removalLimit without seeing a file go. What cannot be removed is logged;
    /// what hangs goes when the kernel lets it, or is left to the next start if the process ends
    /// first. Does nothing in a process forked off the one that started the target.
    virtual ~Target() = default;

    virtual const std::string& subsystemNqn() const = 0;
    /// Where it serves, or is going to.
    virtual const TransportAddresses& addresses() const = 0;
    const TransportAddress& address() const { return addresses().front(); }

    /// Exports a regular file or block device as namespace `nsid`. What is judged is what is
    /// exported: the file is opened once. A file may be exported once only, whatever its name. The
    /// holes of a sparse file are filled with reserved space first, unless it is exported
    /// read-only. A regular file that is truncated, extended, deleted, renamed or replaced later is
    /// not exported any more: this is logged, and told to options.fileLost.
    /// @param nsid  1 to 2^32-2, never exported before in this target
    /// @param path  absolute or relative to the working directory
    /// @param size  bytes to export, at least one block and at most the physical size; a remote
    ///     host reaches no byte beyond it
    /// @return EINVAL (kind of file, size, nsid), ENOENT, EACCES, EEXIST (file already exported, or
    ///     nsid used), EBUSY (device in use; or the removal of another file of this target hangs),
    ///     EMFILE (1024 files), ENOSPC (disk space; inotify watches), ESTALE (file changed
    ///     meanwhile) ...; nothing is left behind
    virtual Result<ExportedFile> addFile(uint32_t nsid, const std::string& path, uint64_t size,
                                         const FileRules& rules) = 0;
    Result<ExportedFile> addFile(uint32_t nsid, const std::string& path, uint64_t size) {
        return addFile(nsid, path, size, FileRules{});
    }

    /// Ends the service: connected hosts are cut off, and none gets in again. I/O in flight ends,
    /// files and subsystem stay until this object is destroyed. Waits for no disk. What fails is
    /// logged.
    virtual void cutOff() = 0;

    /// Takes a file back. Waits for its I/O in flight, as long as options.removalLimit; I/O on
    /// other files goes on.
    /// @return ENOENT when `nsid` is not exported (any more: see options.fileLost), EBUSY while
    ///     another call adds it, and when its disk, or that of a file removed before it, hangs: it
    ///     goes when the kernel lets it, and another call waits for it again. After any other error
    ///     it is still held and may be removed again
    virtual Result<> removeFile(uint32_t nsid) = 0;

    /// Whether `nsid` is exported, and not about to be removed.
    virtual bool exports(uint32_t nsid) = 0;

    /// Opens the very file that is exported as `nsid`, for this process' own I/O, which the caller
    /// ends before it calls removeFile(), and when options.fileLost tells of the file.
    /// @param openFlags  O_DIRECT or 0, added to O_RDWR (or O_RDONLY) | O_CLOEXEC
    /// @return ENOENT when it is not exported (any more), EOPNOTSUPP where its file system has no
    ///     direct I/O, or options.localAccess is off; what open(2) said
    virtual Result<LocalFile> openLocally(uint32_t nsid, int openFlags) {
        static_cast<void>(nsid), static_cast<void>(openFlags);
        return makeError(EOPNOTSUPP, "files of this target are not opened locally");
    }

    virtual TargetCounts counts() = 0;

    /// Lets exactly these hosts connect from now on, or nobody. Adding a host disturbs no other.
    /// Taking one off cuts every host off for a moment (the kernel knows no other way to end a
    /// connection); those on the list reconnect by themselves, and their I/O waits meanwhile. Its
    /// connection ends soon after the return, its I/O in flight with it.
    /// @return EINVAL (a malformed NQN, a target that lets any host in, or one with a file that
    ///     says who may); after any other error, as EBUSY where the kernel has not ended the
    ///     connections within options.removalLimit, hosts taken off may still be connected: repeat
    ///     it
    virtual Result<> setAllowedHosts(const std::vector<std::string>& hosts) = 0;
};

}  // namespace mooncake::nvmeof_generic
