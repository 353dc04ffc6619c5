// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backing_file.h"
#include "bounded_thread.h"
#include "export_plan.h"
#include "export_record.h"
#include "file_watcher.h"
#include "loop_device.h"
#include "namespace.h"
#include "nsid_set.h"
#include "nvmet_tree.h"
#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::nvmeof_generic {

/// The files that one subsystem exports. Namespaces are removed by a thread for that, one after the
/// other, so that callers need not wait for a disk that hangs. Thread-safe; no lock is held over a
/// system call.
class FileExports {
 public:
    /// @param remover  outlives this object, which has it from now on
    FileExports(const NvmetTree& tree, std::string subsystemNqn, const TargetOptions& options,
                BoundedThread& remover);

    /// Waits for the remover, but for one that has the last word (handOver()). After removeAll().
    ~FileExports();
    FileExports(const FileExports&) = delete;
    FileExports& operator=(const FileExports&) = delete;

    /// See Target::addFile().
    Result<ExportedFile> add(uint32_t nsid, const std::string& path, uint64_t size,
                             const FileRules& rules);
    /// See Target::removeFile().
    Result<> remove(uint32_t nsid);

    /// See Target::openLocally().
    Result<LocalFile> openLocally(uint32_t nsid, int openFlags);

    bool contains(uint32_t nsid);
    /// The nsids of those that contains() knows.
    std::vector<uint32_t> served();
    /// Takes a file back that cannot be served any more, says why, and tells options.fileLost. Does
    /// nothing for one that is not served. Waits for nothing.
    void lose(uint32_t nsid, const std::string& what);

    /// Of the files alone.
    TargetCounts counts();

    /// Removes all files, and waits until that is done, or no file has gone for the time that the
    /// options give. No file may be added any more.
    /// @return ETIMEDOUT, with the file that is in the way: the rest goes on
    Result<> removeAll();

    /// After removeAll(): the remover takes the rest down when the files have gone. What the kernel
    /// does not let go before the process ends is left to the next start of a target.
    /// @param rest  owns this object
    void handOver(std::shared_ptr<void> rest);

 private:
    enum class State { kComing, kServed, kLeaving };
    struct Export {
        Export(std::string p, const FileIdentity& i) : path(std::move(p)), identity(i) {}

        std::string path;
        FileIdentity identity;
        uint64_t size = 0;       // bytes that are exported
        uint32_t blockSize = 0;  // likewise
        bool readOnly = false;
        std::shared_ptr<const ProcessFd> local;  // of the judged file; null: not opened locally
        State state = State::kComing;
        std::optional<Error> failure;      // of the last attempt to remove it
        std::unique_ptr<Namespace> ns;     // touched only by the thread that changes the state
        std::optional<BackingFile> claim;  // keeps a block device claimed; likewise
        // Keeps others from a loop device that nvmet has open and that has no file; likewise.
        std::optional<LoopDevice> emptyLoop;
    };

    Result<> reserve(uint32_t nsid, const BackingFile& file);
    Result<ExportedFile> serve(uint32_t nsid, BackingFile& file, const ExportPlan& plan,
                               bool readOnly);
    Result<> enable(uint32_t nsid, const BackingFile& file, const ExportPlan& plan);
    Result<> enableReadOnly(uint32_t nsid, const BackingFile& file, const ExportPlan& plan);
    void noteUsed(uint32_t nsid);
    Result<Namespace*> makeNamespace(uint32_t nsid, const std::string& file);
    Result<> settle(uint32_t nsid, BackingFile& file, const ExportPlan& plan, bool readOnly);
    void removeInTurn();

    // With mutex_ held.
    void forget(uint32_t nsid);
    void startLeaving(uint32_t nsid);
    template <class Condition>
    bool waitWhileMoving(std::unique_lock<std::mutex>& lock, Condition done);
    Result<> waitUntilGone(std::unique_lock<std::mutex>& lock, uint32_t nsid);
    Error tookTooLong(const std::string& what) const;

    const NvmetTree tree_;
    const std::string subsystemNqn_;
    const TargetOptions options_;
    ExportRecord record_;

    std::mutex mutex_;  // of what follows; references into exports_ stay good while others come
                        // and go
    std::condition_variable changed_;
    std::map<uint32_t, Export> exports_;       // by nsid
    std::map<FileIdentity, uint32_t> nsidOf_;  // which export a file belongs to
    NsidSet used_;                             // nsids that a remote host may have seen
    std::deque<uint32_t> leaving_;             // to be removed, in this order
    // Who makes or removes a namespace has the turn. The kernel would let the others wait, too, but
    // without a limit.
    bool turnTaken_ = false;
    uint32_t makersWaiting_ = 0;  // they go first: a removal is slow, and there may be many
    uint32_t removing_ = 0;       // the nsid that has the turn to be removed, or 0
    uint64_t removals_ = 0;       // attempts so far
    std::map<std::string, uint64_t> withdrawn_;  // by reason
    bool stop_ = false;                          // when there is nothing left to remove
    std::shared_ptr<void> rest_;                 // see handOver()
    BoundedThread& remover_;

    FileWatcher watcher_;  // last: its thread uses all of the above
};

}  // namespace mooncake::nvmeof_generic
