// SPDX-License-Identifier: Apache-2.0
// What a power cut leaves of a folder: what was flushed, and nothing else.
#pragma once

#include <string>

namespace mooncake::store::test {

// Sees every fsync and fdatasync of this process while it lives; one at a time. Of a file that was
// flushed, the bytes are there that it had then; and the file itself, once its folder was flushed
// with it.
class PowerCut {
 public:
    // What is in the folder now is on the disk.
    explicit PowerCut(const std::string& folder);
    ~PowerCut();
    PowerCut(const PowerCut&) = delete;
    PowerCut& operator=(const PowerCut&) = delete;

    // Makes a folder of what would be there after a power cut now.
    void leaveIn(const std::string& folder) const;
};

}  // namespace mooncake::store::test
