// SPDX-License-Identifier: Apache-2.0
#include <json/json.h>
#include <sys/file.h>

#include <algorithm>
#include <map>
#include <memory>
#include <ostream>

#include "commands.h"
#include "fd_block_file.h"
#include "progress.h"
#include "rebuild.h"
#include "region_table.h"
#include "superblock.h"

namespace mooncake::store::tool {
namespace {

constexpr size_t kBatch = 1000;

struct StoreFile {
    std::string path;
    std::unique_ptr<FdBlockFile> file;
    Superblock superblock;
    FileNumber number = 0;
};

struct Rebuilt {
    uint64_t files = 0;
    uint64_t regions = 0;
    uint64_t objects = 0;
    uint64_t copies = 0;    // added to objects that another run has found
    uint64_t existing = 0;  // objects that are there, and stay as they are
};

// Whether two entries of a key are copies of one put, as far as they tell: that has one size, one
// time, and, where it is divided in the same way, the same checksums.
bool isSamePut(const ObjectEntry& a, const ObjectEntry& b) {
    if (a.size != b.size || a.time_ms != b.time_ms) return false;
    const Replica& one = a.replicas.front();
    const Replica& other = b.replicas.front();
    const auto length = [](const Extent& x, const Extent& y) { return x.length == y.length; };
    if (!std::equal(one.begin(), one.end(), other.begin(), other.end(), length)) return true;
    return std::equal(one.begin(), one.end(), other.begin(),
                      [](const Extent& x, const Extent& y) { return x.checksum == y.checksum; });
}

// Opened, and nobody else's on this machine as long as it is.
Result<StoreFile> openFile(const std::string& path) {
    StoreFile opened;
    opened.path = path;
    auto file = FdBlockFile::open(path);
    if (!file) return tl::unexpected(file.error());
    opened.file = std::move(*file);
    if (::flock(opened.file->fd(), LOCK_EX | LOCK_NB) != 0) {
        return failed(Failure::kConflict, path +
                                              " is served by a process of this machine, which is "
                                              "to be ended or to unmount it; or it was named "
                                              "twice here");
    }
    const auto reading = readSuperblock(*opened.file);
    if (!reading) return tl::unexpected(reading.error());
    if (reading->state != SuperblockState::kGood) {
        return failed(Failure::kDamaged, path +
                                             " has no superblock of a store that this program "
                                             "knows; is it the right file?");
    }
    opened.superblock = reading->superblock;
    if (opened.superblock.scratch) {
        return failed(Failure::kRefused, path +
                                             " was made for one process; its objects went with "
                                             "that, and it can be removed");
    }
    return opened;
}

Result<std::vector<StoreFile>> openAll(const std::vector<std::string>& paths) {
    std::vector<StoreFile> files;
    for (const std::string& path : paths) {
        auto opened = openFile(path);
        if (!opened) return tl::unexpected(opened.error());
        if (!files.empty() && opened->superblock.store != files.front().superblock.store) {
            return failed(Failure::kConflict, path + " is of store " + opened->superblock.store +
                                                  ", and " + files.front().path + " of store " +
                                                  files.front().superblock.store +
                                                  "; make their directories one by one");
        }
        files.push_back(std::move(*opened));
    }
    return files;
}

// A new one gets the id that the files name.
Result<std::unique_ptr<Directory>> openDirectory(const CommandLine& line,
                                                 const std::vector<StoreFile>& files) {
    const std::string& store = files.front().superblock.store;
    DirectoryOptions options;
    options.new_store = Uuid::parse(store);
    if (!options.new_store) {
        return failed(Failure::kUnsupported,
                      files.front().path + " is of a store without an id, '" + store + "'");
    }
    auto directory =
        Directory::open(line.directory, options, std::chrono::steady_clock::now() + line.timeout);
    if (directory && (*directory)->storeId() != *options.new_store) {
        return failed(Failure::kConflict,
                      "the directory is of store " + (*directory)->storeId().text() + ", and " +
                          files.front().path + " of store " + store +
                          "; name another directory, or remove the one that was made since");
    }
    return directory;
}

class Work {
 public:
    Work(const Asked& asked, std::vector<StoreFile> files, Output& output)
        : asked_(asked), files_(std::move(files)), output_(output) {}

    Result<Rebuilt> run() {
        for (const auto step :
             {&Work::addFiles, &Work::readTables, &Work::setObjects, &Work::sealRegions}) {
            if (auto done = (this->*step)(); !done) return tl::unexpected(done.error());
        }
        return rebuilt_;
    }

 private:
    Result<> addFiles() {
        for (StoreFile& file : files_) {
            const Superblock& superblock = file.superblock;
            FileDescription description;
            description.uuid = superblock.file;
            description.size = superblock.file_bytes;
            description.region_size = superblock.geometry.region_bytes;
            description.regions = superblock.geometry.regions;
            const auto added = asked_.directory.addFile(description, asked_.deadline());
            if (!added) return tl::unexpected(added.error());
            file.number = added->number;
            ++rebuilt_.files;
        }
        return {};
    }

    Result<> readTables() {
        uint64_t regions = 0;
        for (const StoreFile& file : files_) regions += file.superblock.geometry.regions;
        Progress progress(output_, "reading tables of contents", regions);
        for (const StoreFile& file : files_) {
            for (RegionIndex i = 0; i < file.superblock.geometry.regions; ++i) {
                if (auto read = readTable(file, i); !read) return read;
                progress.add(1);
            }
        }
        return {};
    }

    Result<> readTable(const StoreFile& file, RegionIndex index) {
        const auto table = readRegionTable(*file.file, file.superblock.geometry,
                                           file.superblock.file, index, std::nullopt);
        if (!table) return tl::unexpected(table.error());
        if (table->generation == 0) return {};
        const RegionId id{file.number, index};
        const auto adopted = asked_.directory.adoptRegion(id, table->generation, asked_.deadline());
        if (!adopted && adopted.error().failure == Failure::kConflict) {
            return failed(Failure::kConflict,
                          "region " + toString(id) + " of " + file.path +
                              " is known to the directory already: the file was mounted, or an "
                              "earlier run was broken off. Begin again with a new directory");
        }
        if (!adopted) return tl::unexpected(adopted.error());
        generations_[id] = table->generation;
        ++rebuilt_.regions;
        objects_.add(file.number, index, table->generation, table->records);
        return {};
    }

    Result<> setObjects() {
        const std::vector<Rebuild::Object> objects = objects_.objects();
        Progress progress(output_, "setting entries", objects.size());
        for (size_t begin = 0; begin < objects.size(); begin += kBatch) {
            const size_t end = std::min(begin + kBatch, objects.size());
            std::vector<Change> changes;
            for (size_t i = begin; i < end; ++i) {
                changes.push_back(
                    {objects[i].key, objects[i].entry, Change::When::kAbsent, ObjectEntry()});
            }
            if (auto set = setBatch(std::move(changes)); !set) return set;
            progress.add(end - begin);
        }
        return {};
    }

    Result<> setBatch(std::vector<Change> changes) {
        const auto outcomes = asked_.directory.commit(changes, asked_.deadline());
        if (!outcomes) return tl::unexpected(outcomes.error());
        std::vector<Change> known;
        for (size_t i = 0; i < changes.size(); ++i) {
            if ((*outcomes)[i] == ChangeOutcome::kDone) {
                ++rebuilt_.objects;
                count(changes[i].entry);
            } else if ((*outcomes)[i] == ChangeOutcome::kExists) {
                known.push_back(std::move(changes[i]));
            } else {
                return failed(Failure::kConflict,
                              "a region was taken away from this process while it worked; begin "
                              "again with a new directory");
            }
        }
        return setKnown(std::move(known));
    }

    // Another node's files have entries of the same keys: copies of the same objects, or of other
    // puts, of which the newest counts, in whatever order the nodes come.
    Result<> setKnown(std::vector<Change> known) {
        std::vector<std::string> keys;
        for (const Change& one : known) keys.push_back(one.key);
        const auto entries = asked_.directory.lookup(keys, asked_.deadline());
        if (!entries) return tl::unexpected(entries.error());
        std::vector<Change> changes;
        std::vector<bool> copies;  // of each change: it adds some
        for (size_t i = 0; i < known.size(); ++i) {
            const auto& there = (*entries)[i];
            ObjectEntry& mine = known[i].entry;
            if (!there) continue;
            const bool is_copy = isSamePut(*there, mine);
            if (is_copy ? there->replicas.size() + mine.replicas.size() > kMaxReplicas
                        : there->time_ms >= mine.time_ms) {
                continue;
            }
            known[i].when = Change::When::kUnchanged;
            known[i].before = *there;
            if (is_copy) {
                mine.replicas.insert(mine.replicas.begin(), there->replicas.begin(),
                                     there->replicas.end());
            }
            copies.push_back(is_copy);
            changes.push_back(std::move(known[i]));
        }
        rebuilt_.existing += known.size() - changes.size();
        const auto outcomes = asked_.directory.commit(changes, asked_.deadline());
        if (!outcomes) return tl::unexpected(outcomes.error());
        for (size_t i = 0; i < changes.size(); ++i) {
            if ((*outcomes)[i] != ChangeOutcome::kDone) {
                ++rebuilt_.existing;
                continue;
            }
            const ObjectEntry& entry = changes[i].entry;
            if (copies[i]) {
                rebuilt_.copies += entry.replicas.size() - changes[i].before.replicas.size();
            } else {
                ++rebuilt_.objects;
            }
            count(entry);
        }
        return {};
    }

    // Towards what the regions of this run hold.
    void count(const ObjectEntry& entry) {
        for (const Replica& replica : entry.replicas) {
            for (const Extent& extent : replica) {
                if (!generations_.contains(extent.region)) continue;
                uses_[extent.region].bytes += extent.length;
                ++uses_[extent.region].objects;
            }
        }
    }

    Result<> sealRegions() {
        for (const auto& [id, generation] : generations_) {
            if (auto sealed =
                    asked_.directory.sealRegion(id, generation, uses_[id], asked_.deadline());
                !sealed) {
                return sealed;
            }
        }
        return {};
    }

    const Asked asked_;
    std::vector<StoreFile> files_;
    Output& output_;
    Rebuild objects_;
    std::map<RegionId, Generation> generations_;
    std::map<RegionId, RegionUse> uses_;
    Rebuilt rebuilt_;
};

void print(const Rebuilt& rebuilt, bool json, std::ostream& out) {
    if (!json) {
        out << rebuilt.files << " files, " << rebuilt.regions << " regions with objects, "
            << rebuilt.objects << " objects, " << rebuilt.copies << " copies of known ones, "
            << rebuilt.existing << " objects were there already\n";
        return;
    }
    Json::Value report;
    report["files"] = static_cast<Json::UInt64>(rebuilt.files);
    report["regions"] = static_cast<Json::UInt64>(rebuilt.regions);
    report["objects"] = static_cast<Json::UInt64>(rebuilt.objects);
    report["copies"] = static_cast<Json::UInt64>(rebuilt.copies);
    report["existing"] = static_cast<Json::UInt64>(rebuilt.existing);
    printJson(report, out);
}

}  // namespace

Result<bool> rebuild(const CommandLine& line, Output& output) {
    auto files = openAll(line.arguments);
    if (!files) return tl::unexpected(files.error());
    const auto directory = openDirectory(line, *files);
    if (!directory) return tl::unexpected(directory.error());
    const Asked asked{**directory, line.timeout};
    if (auto joined = asked.directory.join("mooncake_file_store", asked.deadline()); !joined) {
        return tl::unexpected(joined.error());
    }
    const auto rebuilt = Work(asked, std::move(*files), output).run();
    if (!rebuilt) return tl::unexpected(rebuilt.error());
    if (auto left = asked.directory.leave(asked.deadline()); !left) {
        return tl::unexpected(left.error());
    }
    print(*rebuilt, line.json, output.out);
    return true;
}

}  // namespace mooncake::store::tool
