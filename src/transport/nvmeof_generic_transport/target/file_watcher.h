// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "backing_file.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// What must stay true of a file while it is exported.
struct FileExpectation {
    std::string path;  ///< absolute, without symbolic links: as the kernel named the open file
    FileIdentity identity;
    uint64_t size;   ///< bytes
    bool exactSize;  ///< nothing else will do; otherwise the file may be larger
};

/// @return what does not hold any more, for people, or nothing
std::optional<std::string> findChange(const FileExpectation& expected);

/// What kind of change a text of findChange() tells of, for counting: "gone", "replaced", "resized"
/// or "other".
const char* reasonOf(std::string_view change);

/// Notices when regular files are truncated, deleted, renamed or replaced by whoever may do so. It
/// has inotify(7) watches on the files themselves, holds no descriptor per file, and sleeps while
/// nobody touches them. nvmet's own reads and writes raise no event; those of other programs do,
/// and are looked at at most a hundred times a second, whatever their number. What inotify does not
/// see is not noticed: what another host does to a file of a network file system, and a renamed
/// parent folder. Thread-safe.
class FileWatcher {
 public:
    /// Told once of each file that changed; called on the watcher's thread with no lock held. Must
    /// not block, nor call back.
    using Changed = std::function<void(uint32_t nsid, const std::string& what)>;

    explicit FileWatcher(Changed changed);
    ~FileWatcher() { stop(); }
    FileWatcher(const FileWatcher&) = delete;
    FileWatcher& operator=(const FileWatcher&) = delete;

    /// Looks after an open file from now on. A change of before goes unnoticed: call findChange()
    /// afterwards.
    /// @param nsid  not watched already
    /// @return EMFILE, ENOSPC (the system's limits of inotify: the message names them), EAGAIN (of
    ///     threads) ...
    Result<> watch(uint32_t nsid, int fd, const FileExpectation& expected);

    /// Does nothing for a file that is not watched.
    void forget(uint32_t nsid);

    /// Watches nothing any more, for good. Waits for a call of `changed` under way.
    void stop();

 private:
    struct Watched {
        int watch;
        FileExpectation expected;
    };

    Result<> start();
    void run();
    void look(const std::function<bool(const Watched&)>& concerned);

    const Changed changed_;

    std::mutex mutex_;  // of what follows
    UniqueFd inotify_;
    UniqueFd stopSignal_;  // an eventfd: readable when the thread is to end
    std::map<uint32_t, Watched> files_;
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
