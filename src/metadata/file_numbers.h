// SPDX-License-Identifier: Apache-2.0
// Under which number this process knows a file of another node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "number_set.h"
#include "transfer_metadata.h"

namespace mooncake {

// The files of one other segment. A node begins its numbers anew when it does, and then they may
// mean other files; a program holds the numbers that it was given. So a file keeps the number under
// which this process saw it first, and no number ever means a second file. Not thread-safe.
//
// A file is the same when its uuid is, or, where its node publishes none, its path and size; of
// files of one record that share theirs, when all that is published of them is the same.
class FileNumbers {
 public:
    using File = TransferMetadata::FileBufferDesc;

    // Files that are gone are forgotten beyond so many, those first that have been gone longest.
    // Their numbers are not used again.
    static constexpr size_t kMaxKnown = 8192;

    // Turns the numbers that the node has published into those of this process: sets id, nsid and
    // nsid_is_its_too of each. A file whose number is not free keeps the published one as a second
    // number where that is; a file for which no number is left is taken out.
    void assign(std::vector<File>* files);

    size_t known() const { return known_.size(); }

 private:
    using FileBufferID = TransferMetadata::FileBufferID;

    struct Known {
        FileBufferID number = 0;
        std::vector<FileBufferID> others;  // the last few under which its node has published it
        uint64_t seen = 0;
    };

    void forgetOldest();

    std::unordered_map<std::string, Known> known_;  // by what makes it this file
    NumberSet used_;
    uint64_t records_ = 0;
};

}  // namespace mooncake
