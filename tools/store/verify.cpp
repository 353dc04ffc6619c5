// SPDX-License-Identifier: Apache-2.0
#include <json/json.h>

#include <algorithm>
#include <ostream>
#include <thread>

#include "commands.h"
#include "key_text.h"
#include "pace.h"
#include "progress.h"
#include "store_client.h"
#include "units.h"

namespace mooncake::store::tool {
namespace {

// What is read at once: enough to keep the devices busy, and no more memory than that, but for
// larger objects.
constexpr size_t kObjects = 64;
constexpr uint64_t kBytes = 64 << 20;

struct Damage {
    std::string key;
    ErrorCode code;
    uint32_t left = 0;  // copies that are right
};

struct Findings {
    uint64_t objects = 0;      // with a copy that is right
    uint64_t copies = 0;       // that are right
    uint64_t bytes = 0;        // of these
    uint64_t missing = 0;      // objects that have gone meanwhile
    uint64_t unreachable = 0;  // objects without a copy that can be read
    uint64_t unreachable_copies = 0;
    uint64_t wrong_copies = 0;
    std::vector<Damage> damaged;

    bool areRight() const { return damaged.empty() && wrong_copies == 0; }
};

class Verification {
 public:
    Verification(Client& client, uint64_t rate, Progress& progress)
        : client_(client), pace_(rate, Pace::Clock::now()), progress_(progress) {}

    void add(const std::string& key, const ObjectEntry& entry) {
        if (!keys_.empty() && (keys_.size() == kObjects || bytes_ + entry.size > kBytes)) flush();
        keys_.push_back(key);
        sizes_.push_back(entry.size);
        bytes_ += entry.size;
        to_read_ += entry.size * entry.replicas.size();
    }

    void flush() {
        if (keys_.empty()) return;
        std::this_thread::sleep_until(pace_.reserve(to_read_, Pace::Clock::now()));
        if (memory_.size() < bytes_) memory_.resize(bytes_);
        std::vector<std::vector<Slice>> slices;
        char* at = memory_.data();
        for (const uint64_t size : sizes_) {
            slices.push_back({{at, size}});
            at += size;
        }
        const auto results = client_.BatchVerify(keys_, slices);
        for (size_t i = 0; i < results.size(); ++i) {
            if (results[i]) {
                count(keys_[i], sizes_[i], *results[i]);
            } else if (results[i].error() == ErrorCode::OBJECT_NOT_FOUND) {
                ++findings_.missing;
            } else {
                findings_.damaged.push_back({keys_[i], results[i].error()});
            }
        }
        progress_.add(to_read_);
        keys_.clear();
        sizes_.clear();
        bytes_ = to_read_ = 0;
    }

    const Findings& findings() const { return findings_; }

 private:
    void count(const std::string& key, uint64_t size, const CopyCounts& copies) {
        findings_.objects += copies.right != 0 ? 1 : 0;
        findings_.copies += copies.right;
        findings_.bytes += copies.right * size;
        findings_.unreachable_copies += copies.unreachable;
        findings_.wrong_copies += copies.damaged;
        if (copies.damaged != 0) {
            findings_.damaged.push_back({key, ErrorCode::CHECKSUM_MISMATCH, copies.right});
        } else if (copies.right == 0) {
            (copies.unreachable != 0 ? findings_.unreachable : findings_.missing) += 1;
        }
    }

    Client& client_;
    Pace pace_;
    Progress& progress_;
    Findings findings_;
    std::vector<std::string> keys_;
    std::vector<uint64_t> sizes_;
    uint64_t bytes_ = 0;    // of one copy of each
    uint64_t to_read_ = 0;  // of all
    std::vector<char> memory_;
};

void print(const Findings& findings, uint64_t taken_out, bool json, std::ostream& out) {
    if (!json) {
        for (const Damage& one : findings.damaged) {
            out << "object '" << keyText(one.key) << "': " << toString(one.code) << ", " << one.left
                << " copies are right\n";
        }
        out << findings.objects << " objects in " << findings.copies << " copies of "
            << bytesText(findings.bytes) << " are right, " << findings.unreachable
            << " objects and " << findings.unreachable_copies << " copies cannot be reached; "
            << findings.wrong_copies << " copies had wrong bytes, of which " << taken_out
            << " were taken out\n";
        return;
    }
    Json::Value report;
    report["objects"] = static_cast<Json::UInt64>(findings.objects);
    report["copies"] = static_cast<Json::UInt64>(findings.copies);
    report["bytes"] = static_cast<Json::UInt64>(findings.bytes);
    report["missing"] = static_cast<Json::UInt64>(findings.missing);
    report["unreachable"] = static_cast<Json::UInt64>(findings.unreachable);
    report["unreachable_copies"] = static_cast<Json::UInt64>(findings.unreachable_copies);
    report["wrong_copies"] = static_cast<Json::UInt64>(findings.wrong_copies);
    report["copies_taken_out"] = static_cast<Json::UInt64>(taken_out);
    report["damaged"] = Json::Value(Json::arrayValue);
    for (const Damage& one : findings.damaged) {
        Json::Value object;
        object["key"] = keyText(one.key);
        object["error"] = toString(one.code);
        object["right_copies"] = one.left;
        report["damaged"].append(object);
    }
    printJson(report, out);
}

}  // namespace

Result<bool> verify(const CommandLine& line, Output& output) {
    const auto prefix = keyOf(line.arguments.empty() ? "" : line.arguments[0]);
    if (!prefix) return tl::unexpected(prefix.error());
    const auto client = makeClient(line);
    if (!client) return tl::unexpected(client.error());
    const auto directory = Directory::open(line.directory, {}, Pace::Clock::now() + line.timeout);
    if (!directory) return tl::unexpected(directory.error());
    const Asked asked{**directory, line.timeout};
    uint64_t total = 0;
    if (output.show_bars) {
        const auto counted =
            forEachObject(asked, *prefix, [&](const std::string&, const ObjectEntry& entry) {
                total += entry.size * entry.replicas.size();
                return true;
            });
        if (!counted) return tl::unexpected(counted.error());
    }
    Findings findings;
    {
        Progress progress(output, "verifying", total);
        Verification verification(**client, line.rate, progress);
        const auto listed =
            forEachObject(asked, *prefix, [&](const std::string& key, const ObjectEntry& entry) {
                verification.add(key, entry);
                return true;
            });
        if (!listed) return tl::unexpected(listed.error());
        verification.flush();
        findings = verification.findings();
    }
    print(findings, (*client)->Statistics().replicas_dropped, line.json, output.out);
    return findings.areRight();
}

}  // namespace mooncake::store::tool
