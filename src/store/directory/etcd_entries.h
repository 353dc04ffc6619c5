// SPDX-License-Identifier: Apache-2.0
// Objects in etcd.
#pragma once

#include <string>
#include <vector>

#include "directory_backend.h"
#include "entry_reader.h"
#include "etcd_files.h"
#include "etcd_owned_regions.h"
#include "etcd_store.h"

namespace mooncake::store {

class EtcdEntries : public EntryRecords {
 public:
    EtcdEntries(const EtcdStore* store, const EtcdFiles* files, const EtcdOwnedRegions* owned,
                Counters* counters)
        : store_(store), files_(files), owned_(owned), reader_(counters) {}

    size_t groupLimit() const override;
    Result<ChangeOutcomes> set(ClientId client, const std::vector<const Change*>& changes,
                               Deadline deadline) override;
    Result<> read(const std::vector<std::string>& keys, Need need, const Found& found,
                  Deadline deadline) override;
    Result<std::vector<Edit>> edit(const std::vector<std::string>& keys,
                                   const Directory::Editor& editor, Deadline deadline) override;
    Result<std::vector<bool>> remove(const std::vector<std::string>& keys,
                                     Deadline deadline) override;
    Result<Page> list(const std::string& prefix, const std::string& from, size_t limit,
                      Deadline deadline) override;

 private:
    std::vector<std::string> placesOf(const std::vector<std::string>& keys) const;

    const EtcdStore* const store_;
    const EtcdFiles* const files_;
    const EtcdOwnedRegions* const owned_;
    const EntryReader reader_;
};

}  // namespace mooncake::store
