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
};

struct Findings {
    uint64_t objects = 0;  // that were right
    uint64_t bytes = 0;
    uint64_t missing = 0;  // gone meanwhile, or out of reach
    std::vector<Damage> damaged;
};

class Verification {
 public:
    Verification(Client& client, uint64_t rate, Progress& progress)
        : client_(client), pace_(rate, Pace::Clock::now()), progress_(progress) {}

    void add(const std::string& key, uint64_t bytes) {
        if (!keys_.empty() && (keys_.size() == kObjects || bytes_ + bytes > kBytes)) flush();
        keys_.push_back(key);
        sizes_.push_back(bytes);
        bytes_ += bytes;
    }

    void flush() {
        if (keys_.empty()) return;
        std::this_thread::sleep_until(pace_.reserve(bytes_, Pace::Clock::now()));
        if (memory_.size() < bytes_) memory_.resize(bytes_);
        std::vector<std::vector<Slice>> slices;
        char* at = memory_.data();
        for (const uint64_t size : sizes_) {
            slices.push_back({{at, size}});
            at += size;
        }
        const auto results = client_.BatchGetInto(keys_, slices);
        for (size_t i = 0; i < results.size(); ++i) {
            if (results[i]) {
                ++findings_.objects;
                findings_.bytes += *results[i];
            } else if (results[i].error() == ErrorCode::OBJECT_NOT_FOUND) {
                ++findings_.missing;
            } else {
                findings_.damaged.push_back({keys_[i], results[i].error()});
            }
        }
        progress_.add(bytes_);
        keys_.clear();
        sizes_.clear();
        bytes_ = 0;
    }

    const Findings& findings() const { return findings_; }

 private:
    Client& client_;
    Pace pace_;
    Progress& progress_;
    Findings findings_;
    std::vector<std::string> keys_;
    std::vector<uint64_t> sizes_;
    uint64_t bytes_ = 0;
    std::vector<char> memory_;
};

void print(const Findings& findings, const ClientStatistics& numbers, bool json,
           std::ostream& out) {
    if (!json) {
        for (const Damage& one : findings.damaged) {
            out << "object '" << keyText(one.key) << "': " << toString(one.code) << '\n';
        }
        out << findings.objects << " objects of " << bytesText(findings.bytes) << " are right, "
            << findings.damaged.size() << " are not, " << numbers.misses_unreachable
            << " cannot be reached; " << numbers.checksum_failures
            << " copies had wrong bytes, of which " << numbers.replicas_dropped
            << " were taken out\n";
        return;
    }
    Json::Value report;
    report["objects"] = static_cast<Json::UInt64>(findings.objects);
    report["bytes"] = static_cast<Json::UInt64>(findings.bytes);
    report["missing"] = static_cast<Json::UInt64>(findings.missing);
    report["unreachable"] = static_cast<Json::UInt64>(numbers.misses_unreachable);
    report["wrong_copies"] = static_cast<Json::UInt64>(numbers.checksum_failures);
    report["copies_taken_out"] = static_cast<Json::UInt64>(numbers.replicas_dropped);
    report["damaged"] = Json::Value(Json::arrayValue);
    for (const Damage& one : findings.damaged) {
        Json::Value object;
        object["key"] = keyText(one.key);
        object["error"] = toString(one.code);
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
                total += entry.size;
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
                verification.add(key, entry.size);
                return true;
            });
        if (!listed) return tl::unexpected(listed.error());
        verification.flush();
        findings = verification.findings();
    }
    const ClientStatistics numbers = (*client)->Statistics();
    print(findings, numbers, line.json, output.out);
    return findings.damaged.empty() && numbers.checksum_failures == 0;
}

}  // namespace mooncake::store::tool
