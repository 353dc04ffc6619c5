// SPDX-License-Identifier: Apache-2.0
// The files that this client serves.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "deadline_mutex.h"
#include "directory.h"
#include "evictor.h"
#include "fd_block_file.h"
#include "file_table.h"
#include "open_regions.h"
#include "scratch_file.h"
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

    // kInvalid for a path that is mounted here already; see takeFile() and Directory::mountFile().
    // A client that served the file and is gone is waited for.
    Result<> mount(const std::string& path, bool overwrite, Deadline deadline);
    // Its objects go with it, and it is removed when it is unmounted.
    Result<> mountScratch(ScratchFile scratch, Deadline deadline);
    // kInvalid for a path that is not mounted here. Whatever the directory says, the file is not
    // served any more.
    Result<> unmount(const std::string& path, Deadline deadline);
    void unmountAll(Deadline deadline);

    // Tells the directory of all of them, after this client has joined anew. One that was given up
    // meanwhile is a new one.
    Result<> announce(Deadline deadline);
    // Whether the directory may say something else than what is served: an answer was lost.
    bool isInDoubt() const { return doubts_ != 0; }
    // Reads what the directory says of all files, and sets right what it says of this client's.
    // Nothing while one is being mounted or unmounted.
    Result<> reconcile(Deadline deadline);

    std::vector<FileNumber> numbers() const;
    // The name of the engine's own segment.
    std::string segmentName() const;

 private:
    // The engine exports it, until the end.
    class Export {
     public:
        Export(TransferEngine& engine, std::string path, uint64_t bytes)
            : engine_(engine),
              path_(std::move(path)),
              is_there_(engine.registerLocalFile(path_, bytes, id_) == 0) {}
        ~Export() { (void)end(); }
        // @return false where it is exported still
        bool end();
        Export(const Export&) = delete;
        Export& operator=(const Export&) = delete;
        bool isThere() const { return is_there_; }
        FileBufferID id() const { return id_; }

     private:
        TransferEngine& engine_;
        const std::string path_;
        FileBufferID id_ = 0;
        bool is_there_;
    };
    struct Mounted {
        std::unique_ptr<FdBlockFile> file;  // locked against other processes
        Superblock superblock;
        FileNumber number = 0;
        std::unique_ptr<Export> exported;
    };
    using ByPath = std::map<std::string, Mounted>;
    // What the directory is told of a file.
    struct Served {
        std::string path;
        Superblock superblock;
        FileNumber number;
        FileBufferID exported_as;
    };
    // Ends the export with its own end.
    class Ending;

    Result<Superblock> take(FdBlockFile& file, const std::string& path, bool overwrite,
                            bool scratch);
    Result<> serve(const std::string& path, std::unique_ptr<FdBlockFile> file, bool overwrite,
                   bool scratch, Deadline deadline);
    static Served describe(const std::string& path, const Mounted& mounted);
    std::vector<Served> allServed() const;
    Result<> tell(const Served& file, FileNumber number, Deadline deadline);
    Result<> tellPatiently(const Served& file, bool was_here, Deadline deadline);
    Result<> announceOne(const Served& file, Deadline deadline);
    void renumber(const Served& file, FileNumber number, bool is_served);
    void dropObjects(const Mounted& mounted, Deadline deadline);

    Directory& directory_;
    TransferEngine& engine_;
    FileTable& files_;
    OpenRegions& open_;
    const std::string node_;
    const std::chrono::milliseconds lease_;
    std::atomic<uint32_t> doubts_{0};
    DeadlineMutex work_;  // held by mount and unmount
    ByPath left_;         // not mounted, and the engine exports them still; under work_
    // Of what follows. Nobody who has it calls the directory.
    mutable std::mutex mutex_;
    ByPath mounted_;
};

}  // namespace mooncake::store
