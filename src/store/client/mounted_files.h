// SPDX-License-Identifier: Apache-2.0
// The files that this client serves.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "directory.h"
#include "evictor.h"
#include "fd_block_file.h"
#include "file_table.h"
#include "open_regions.h"
#include "superblock.h"
#include "transfer_engine.h"

namespace mooncake::store {

// Thread rule: any thread; mounting and unmounting one after the other.
class MountedFiles {
 public:
    // @param node  this machine's name
    // @param lease  how long another client that is silent still counts as one
    MountedFiles(Directory& directory, TransferEngine& engine, FileTable& files, OpenRegions& open,
                 std::string node, std::chrono::milliseconds lease)
        : directory_(directory),
          engine_(engine),
          files_(files),
          open_(open),
          node_(std::move(node)),
          lease_(lease) {}

    struct How {
        bool overwrite = false;
        bool scratch = false;
    };
    // kInvalid for a path that is mounted here already; see takeFile() and Directory::mountFile().
    // A client that served the file and is gone is waited for.
    Result<> mount(const std::string& path, How how, Deadline deadline);
    // kNotFound for a path that is not mounted here. Whatever the directory says, the file is not
    // served any more.
    Result<> unmount(const std::string& path, Deadline deadline);
    void unmountAll(Deadline deadline);

    // Tells the directory of all of them, after this client has joined anew.
    Result<> announce(Deadline deadline);

    std::vector<FileNumber> numbers() const;
    bool empty() const;
    // The name of the engine's own segment.
    std::string segmentName() const;

 private:
    struct Mounted {
        std::unique_ptr<FdBlockFile> file;  // locked against other processes
        Superblock superblock;
        FileNumber number = 0;
        FileBufferID id = 0;
    };

    Result<Mounted> take(const std::string& path, How how);
    Result<> tell(const std::string& path, const Mounted& mounted, Deadline deadline);
    Result<> tellPatiently(const std::string& path, const Mounted& mounted, Deadline deadline);
    void dropObjects(const Mounted& mounted, Deadline deadline);

    Directory& directory_;
    TransferEngine& engine_;
    FileTable& files_;
    OpenRegions& open_;
    const std::string node_;
    const std::chrono::milliseconds lease_;
    std::mutex work_;                         // held by mount and unmount
    mutable std::mutex mutex_;                // of what follows
    std::map<std::string, Mounted> mounted_;  // by path
};

}  // namespace mooncake::store
