// SPDX-License-Identifier: Apache-2.0
// Files and their mounts in etcd. A mount goes with the lease of its client.
#pragma once

#include <map>
#include <vector>

#include "directory_backend.h"
#include "etcd_store.h"

namespace mooncake::store {

// As of one revision.
struct EtcdFileState {
    int64_t revision = 0;
    std::map<FileNumber, FileInfo> files;
};

class EtcdFiles : public FileRecords {
 public:
    explicit EtcdFiles(const EtcdStore* store) : store_(store) {}

    Result<FileInfo> add(const FileDescription& description, Deadline deadline) override;
    Result<> mount(FileNumber file, const Mount& mount, Deadline deadline) override;
    Result<> unmount(ClientId client, FileNumber file, Deadline deadline) override;
    Result<> giveUp(FileNumber file, Deadline deadline) override;
    Result<std::vector<FileInfo>> list(Deadline deadline) override;
    Result<std::vector<FreeRegions>> freeRegions(Deadline deadline) override;

    Result<EtcdFileState> state(Deadline deadline) const;

 private:
    const EtcdStore* const store_;
};

}  // namespace mooncake::store
