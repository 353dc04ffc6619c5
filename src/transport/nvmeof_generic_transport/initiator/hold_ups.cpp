// SPDX-License-Identifier: Apache-2.0
#include "hold_ups.h"

#include <sys/file.h>

#include <algorithm>
#include <locale>
#include <sstream>
#include <thread>
#include <utility>

#include "sysfs_nvme.h"
#include "transport/nvmeof_generic_transport/common/decimal.h"
#include "transport/nvmeof_generic_transport/common/network_namespace.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr char kFile[] = "holdups";
constexpr size_t kMostEntries = 256;
constexpr size_t kMostBytes = 64 << 10;
constexpr milliseconds kMemory = 1h;
constexpr milliseconds kLongestRest = 5min;
constexpr uint32_t kMostCount = 1000;

std::string seconds(milliseconds time) {
    return decimal(static_cast<double>(time.count()) / 1000, 1) + " s";
}

// The folder's lock, or none: who holds it for long, stopped in the middle, costs the others no
// more than their changes' safety from each other.
class FolderLock {
 public:
    FolderLock(const RunFolder& folder, milliseconds patience) {
        fd_ = folder.openFile("holdups.lock");
        const auto deadline = Clock::now() + patience;
        // Steadily, since many may want it at one time, each for a moment: a hold-up ends for all
        // processes of the machine at once.
        while (fd_.valid() && flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && Clock::now() < deadline) {
            std::this_thread::sleep_for(1ms);
        }
    }
    ~FolderLock() {
        // Not by closing alone: a child that was forked meanwhile has the descriptor, too.
        if (fd_.valid()) flock(fd_.get(), LOCK_UN);
    }
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

 private:
    UniqueFd fd_;
};

}  // namespace

HoldUps::HoldUps(std::shared_ptr<const RunFolder> folder, Now now, milliseconds lockPatience)
    : folder_(std::move(folder)),
      now_(std::move(now)),
      lockPatience_(lockPatience),
      // Another version has another head, and then starts with nothing.
      head_("nvmeof_generic hold-ups 1 " + bootId() + "\n") {}

Reputation HoldUps::of(const TransportAddress& target) {
    const Entry asked = entryOf(target);
    const std::lock_guard lock(mutex_);
    refresh();
    Reputation reputation;
    milliseconds longest{0}, last{0};
    uint32_t count = 0;
    std::string port;
    for (const Entry& entry : entries_) {
        if (entry.network != asked.network || entry.host != asked.host) continue;
        if (entry.good) {
            if (entry.port == asked.port) return {};
            continue;
        }
        count += entry.count;
        longest = std::max(longest, entry.took);
        if (entry.at < last) continue;
        last = entry.at;
        port = entry.port;
    }
    if (count == 0) return reputation;
    reputation.suspicious = true;
    // Once can be an accident.
    const milliseconds rest = std::min<milliseconds>(longest * (count - 1), kLongestRest);
    reputation.rest = std::max<milliseconds>(last + rest - asked.at, 0ms);
    reputation.why = "its host has held up all connects of this machine " +
                     (count == 1 ? "once" : std::to_string(count) + " times") + ", for up to " +
                     seconds(longest) + ", last with port " + port;
    if (reputation.rest > 0ms) {
        reputation.why += "; it may try again in " + seconds(reputation.rest);
    }
    return reputation;
}

void HoldUps::heldUp(const TransportAddress& target, milliseconds took) {
    change(target, [&](Entry& entry) {
        entry.good = false;
        entry.count = std::min(entry.count + 1, kMostCount);
        entry.took = took;
        return true;
    });
}

void HoldUps::connected(const TransportAddress& target) {
    // Of hosts that never held anybody up nothing need be known.
    if (!of(target).suspicious) return;
    change(target, [](Entry& entry) { return !std::exchange(entry.good, true); });
}

void HoldUps::change(const TransportAddress& target, const std::function<bool(Entry&)>& how) {
    const Entry changed = entryOf(target);
    const std::lock_guard lock(mutex_);
    const FolderLock folderLock(*folder_, lockPatience_);
    refresh();
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [&](const Entry& entry) { return entry.isOf(changed); });
    if (found == entries_.end()) found = entries_.insert(entries_.end(), changed);
    if (!how(*found)) return;
    found->at = changed.at;
    if (entries_.size() > kMostEntries) {
        const auto oldest =
            std::min_element(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
                return std::pair(!a.good, a.at) < std::pair(!b.good, b.at);
            });
        entries_.erase(oldest);
    }
    folder_->replace(kFile, print());
}

HoldUps::Entry HoldUps::entryOf(const TransportAddress& target) const {
    constexpr std::string_view kMapped = "::ffff:";
    std::string host = canonicalAddress(target.traddr);
    // IPv4 by another name.
    if (host.starts_with(kMapped) && host.find('.') != std::string::npos) {
        host.erase(0, kMapped.size());
    }
    return {networkNamespace(), std::move(host), target.trsvcid, false, 0, 0ms, now_()};
}

void HoldUps::refresh() {
    const auto now = now_();
    for (Entry& there : parse(folder_->read(kFile, kMostBytes))) {
        const auto own = std::find_if(entries_.begin(), entries_.end(),
                                      [&](const Entry& entry) { return entry.isOf(there); });
        if (own == entries_.end()) {
            entries_.push_back(std::move(there));
        } else if (own->at < there.at) {
            *own = std::move(there);
        }
    }
    std::erase_if(entries_, [now](const Entry& entry) { return entry.at + kMemory < now; });
}

HoldUps::Entries HoldUps::parse(const std::string& text) const {
    Entries entries;
    if (!text.starts_with(head_)) return entries;
    std::istringstream lines(text.substr(head_.size()));
    const auto now = now_();
    for (std::string line; entries.size() < kMostEntries && std::getline(lines, line);) {
        std::istringstream words(line);
        words.imbue(std::locale::classic());
        Entry entry{};
        int64_t took = 0, at = 0;
        if (!(words >> entry.network >> entry.host >> entry.port >> entry.good >> entry.count >>
              took >> at)) {
            continue;
        }
        constexpr int64_t kDay = std::chrono::milliseconds(24h).count();
        // A variable: GCC 12 destroys a temporary in the condition, in which one of the strings
        // found no memory, as if it were complete.
        const bool is_six = entry.host.find(':') != entry.host.npos;
        const TransportAddress address{"tcp", is_six ? "ipv6" : "ipv4", entry.host, entry.port};
        if (took < 0 || took > kDay || at < 0 || milliseconds(at) > now ||
            entry.count > kMostCount || !checkAddress(address).ok()) {
            continue;
        }
        entry.took = milliseconds(took);
        entry.at = milliseconds(at);
        entries.push_back(std::move(entry));
    }
    return entries;
}

std::string HoldUps::print() const {
    std::ostringstream text;
    text.imbue(std::locale::classic());  // other processes read it
    text << head_;
    for (const Entry& entry : entries_) {
        text << entry.network << ' ' << entry.host << ' ' << entry.port << ' ' << entry.good << ' '
             << entry.count << ' ' << entry.took.count() << ' ' << entry.at.count() << '\n';
    }
    return text.str();
}

}  // namespace mooncake::nvmeof_generic
