// SPDX-License-Identifier: Apache-2.0
#include "refusals.h"

namespace mooncake::store {

namespace {

// Every entry of a transaction of etcd's has to fit into one request.
constexpr size_t kMostEncoded = kMaxEntryBytes;

}  // namespace

Result<> checkDescription(const FileDescription& description) {
    if (!description.uuid.isNull() && description.region_size != 0 && description.regions != 0 &&
        description.region_size <= description.size / description.regions) {
        return {};
    }
    return failed(Failure::kInvalid, "file " + description.uuid.text() + " is not described: " +
                                         std::to_string(description.regions) + " regions of " +
                                         std::to_string(description.region_size) + " bytes in " +
                                         std::to_string(description.size) + " bytes");
}

Result<> checkChanges(const std::vector<Change>& changes) {
    for (const Change& change : changes) {
        if (auto checked = checkKey(change.key); !checked) return checked;
        if (auto checked = checkEntry(change.entry); !checked) return checked;
        size_t extents = 0;
        for (const Replica& replica : change.entry.replicas) extents += replica.size();
        if (extents > 1000 && encodeEntry(change.key, change.entry).size() > kMostEncoded) {
            return failed(Failure::kInvalid,
                          "an entry of " + std::to_string(extents) +
                              " extents is too large for the directory; make the regions larger, "
                              "or the object smaller");
        }
    }
    return {};
}

tl::unexpected<Error> noSuchFile(FileNumber file) {
    return failed(Failure::kNotFound, "the directory knows no file " + std::to_string(file) +
                                          ", or it was given up; mount it again");
}

tl::unexpected<Error> noSuchRegion(RegionId region) {
    return failed(Failure::kNotFound, "the directory knows no region " + toString(region) +
                                          ", or its file was given up");
}

tl::unexpected<Error> noCleanRegion(FileNumber file) {
    return failed(Failure::kNoSpace,
                  "file " + std::to_string(file) + " has no clean region; clean one");
}

tl::unexpected<Error> otherDescription(const FileInfo& known) {
    return failed(Failure::kInvalid,
                  "file " + known.description.uuid.text() + " is known as number " +
                      std::to_string(known.number) + " with " +
                      std::to_string(known.description.size) +
                      " bytes and other regions; is it a copy? Give that one up, or make this "
                      "one's superblock anew");
}

tl::unexpected<Error> mountedElsewhere(const FileInfo& file) {
    return failed(Failure::kConflict,
                  "file " + std::to_string(file.number) + " is mounted by client " +
                      std::to_string(file.mount->client) + " on node '" + file.mount->node +
                      "' as '" + file.mount->path + "'; unmount it there");
}

tl::unexpected<Error> leaseLost(ClientId client) {
    return failed(Failure::kLeaseLost,
                  "the lease of client " + std::to_string(client) + " is lost; join again");
}

tl::unexpected<Error> notJoined() {
    return failed(Failure::kLeaseLost,
                  "this process is no client of the store's directory (it never joined, has left, "
                  "or its lease is lost); join first");
}

Error damagedRecord(const std::string& what) {
    return {Failure::kDamaged, "the directory's record of " + what +
                                   " is damaged, or of another version; make the directory again "
                                   "from the store's files"};
}

bool passes(const std::optional<ObjectEntry>& entry,
            const std::function<bool(const Extent&)>& filter) {
    return entry &&
           std::any_of(entry->replicas.begin(), entry->replicas.end(), [&](const Replica& replica) {
               return std::all_of(replica.begin(), replica.end(), filter);
           });
}

}  // namespace mooncake::store
