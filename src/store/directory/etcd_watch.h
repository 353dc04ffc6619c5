// SPDX-License-Identifier: Apache-2.0
// What changes in a directory on etcd, from a stream of its server.
#pragma once

#include <map>
#include <memory>

#include "directory.h"
#include "etcd_files.h"
#include "etcd_store.h"

namespace mooncake::store {

class EtcdWatch : public DirectoryWatch {
 public:
    // @param attempt  how long one server is waited for
    EtcdWatch(const EtcdStore* store, const EtcdFiles* files, std::chrono::milliseconds attempt);
    ~EtcdWatch() override;

    Result<Changes> next(Deadline deadline) override;

 private:
    struct Stream;

    Result<Changes> reload(Deadline deadline);
    Result<> openStream(Deadline deadline);
    // What one answer says; none: all has to be read again.
    std::optional<Changes> take(const rpc::WatchResponse& response);

    const EtcdStore* const store_;
    const EtcdFiles* const files_;
    const std::chrono::milliseconds attempt_;
    bool loaded_ = false;
    EtcdFileState state_;
    // Kept while the file's mount is away, and the other way round.
    std::map<FileNumber, Mount> mounts_;
    std::unique_ptr<Stream> stream_;
};

}  // namespace mooncake::store
