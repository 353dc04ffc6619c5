// SPDX-License-Identifier: Apache-2.0
// Which file a number means, whatever its node does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "remote_descriptor.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// A number means the file that it stood for when this segment first saw it. Where that file is now
/// is looked up by its identity in what the node has published last. A number under which two
/// files were seen means neither: nobody can know which one a program means. Not thread-safe; no
/// system calls.
class FilePins {
 public:
    /// Numbers of files that are gone are forgotten beyond so many: eight times what a subsystem
    /// can have.
    static constexpr size_t kMost = 8192;

    /// Takes in a record of the node. Every record that a program may have its numbers from is to
    /// be shown, in their order.
    void see(const RemoteDescriptor& descriptor);

    /// The file that a number means, as it was published last.
    /// @return ENOENT for a number that was never seen; ESTALE, with the file, the cause and the
    ///     remedy, for one whose file is not there, or that has meant two files
    Result<RemoteFile> find(uint32_t number) const;

    bool isThere(uint32_t number) const { return find(number).ok(); }

    size_t size() const { return pins_.size(); }

 private:
    struct Pin {
        std::string identity;
        std::string path;
        std::string other;  // path of a second file that was seen under this number, or empty
        bool twofold = false;
        uint64_t seen = 0;  // the last record that had this number
    };

    void pin(uint32_t number, const RemoteFile& file);
    void forgetOldest();

    std::unordered_map<uint32_t, Pin> pins_;           // by number
    std::unordered_map<std::string, RemoteFile> now_;  // the last record, by identity
    bool numbersLast_ = false;
    uint64_t records_ = 0;
    // Where numbers begin anew, one that was forgotten must not come to mean another file. None up
    // to here is taken in any more.
    uint32_t forgottenUpTo_ = 0;
};

}  // namespace mooncake::nvmeof_generic
