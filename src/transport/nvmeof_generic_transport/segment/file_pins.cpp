// SPDX-License-Identifier: Apache-2.0
#include "file_pins.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

std::string named(uint32_t number, const std::string& path) {
    return "file " + std::to_string(number) + " (" + inQuotes(path) + ")";
}

}  // namespace

void FilePins::see(const RemoteDescriptor& descriptor) {
    ++records_;
    numbersLast_ = descriptor.numbersLast;
    now_.clear();
    for (const auto& [number, file] : descriptor.files) {
        now_.emplace(file.identity, file);
        pin(number, file);
    }
    for (const auto& [number, file] : descriptor.files) {
        if (file.nsidIsItsToo && !descriptor.files.contains(file.nsid)) pin(file.nsid, file);
    }
    if (pins_.size() > kMost) forgetOldest();
}

void FilePins::pin(uint32_t number, const RemoteFile& file) {
    const auto found = pins_.find(number);
    if (found == pins_.end()) {
        if (!numbersLast_ && number <= forgottenUpTo_) return;
        pins_.emplace(number, Pin{file.identity, file.path, {}, false, records_});
        return;
    }
    Pin& pin = found->second;
    pin.seen = records_;
    if (pin.identity == file.identity) {
        pin.path = file.path;
    } else if (!std::exchange(pin.twofold, true)) {
        pin.other = file.path;
    }
}

// Half of them, so that this is seldom.
void FilePins::forgetOldest() {
    std::vector<std::pair<uint64_t, uint32_t>> gone;  // when it was seen last, number
    for (const auto& [number, pin] : pins_) {
        if (pin.seen != records_) gone.emplace_back(pin.seen, number);
    }
    std::sort(gone.begin(), gone.end());
    gone.resize(std::min(gone.size(), kMost / 2));
    for (const auto& [seen, number] : gone) {
        pins_.erase(number);
        forgottenUpTo_ = std::max(forgottenUpTo_, number);
    }
}

Result<RemoteFile> FilePins::find(uint32_t number) const {
    const auto found = pins_.find(number);
    if (found == pins_.end()) {
        if (!numbersLast_ && number <= forgottenUpTo_ && number != 0) {
            return makeError(ESTALE, "file " + std::to_string(number),
                             "which file had this number is forgotten after thousands of others; "
                             "open the segment in a new process");
        }
        return makeError(ENOENT, "file " + std::to_string(number),
                         "its node has not registered it, or has withdrawn it");
    }
    const Pin& pin = found->second;
    if (pin.twofold) {
        return makeError(ESTALE, named(number, pin.path),
                         "its node has since given this number to " + inQuotes(pin.other) +
                             ", and nobody can know which of the two is meant; a new process that "
                             "opens the segment can use it again");
    }
    if (const auto file = now_.find(pin.identity); file != now_.end()) return file->second;
    return makeError(ESTALE, named(number, pin.path),
                     "its node has withdrawn it, came back without it, or has another file in its "
                     "place; register the same file there again, or take the new one's number from "
                     "the segment's descriptor");
}

}  // namespace mooncake::nvmeof_generic
