// SPDX-License-Identifier: Apache-2.0
// What this process has published, and that it stays so: a store that is restarted may come back
// without it, and a request that failed may have left something older or newer there.
//
// Whose an entry is, its incarnation says, and no clock. An entry of another process is never
// replaced but in two cases: this process publishes under the name for the first time, or the other
// one has ended or does not answer. Every change is made on condition of what was seen.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "log_pace.h"
#include "metadata_storage.h"
#include "transfer_metadata.h"

namespace mooncake {

class RecordKeeper {
 public:
    using Result = MetadataStorage::Result;

    // Every `interval` what failed is tried again, and the entries of addresses are looked up, in
    // which others may ask whether this process lives; every third time, and as long as the store
    // does not answer, all are. 0 for never. `order` puts publications in order: set and remove
    // are called with it held, and the look-ups' thread takes it to publish. The thread begins
    // before the first publication, which fails without one. `incarnation` is in every value that
    // is published.
    RecordKeeper(std::shared_ptr<MetadataStorage> storage, std::chrono::milliseconds interval,
                 std::mutex* order, std::string incarnation);
    // Ends the thread, which takes as long as the request that it waits for.
    ~RecordKeeper();
    RecordKeeper(const RecordKeeper&) = delete;
    RecordKeeper& operator=(const RecordKeeper&) = delete;

    // Whether the first publication under a key takes it over from a process that lives; else it
    // asks, and where there is an answer it is refused. At first yes. Before any publication.
    void takeOver(bool from_living) { from_living_ = from_living; }

    // Publishes. kConflict where the entry is another process's. Where it fails otherwise and the
    // key was published before, it is tried again later: with `insist` the new value, else the one
    // before, which the caller goes back to. Where it is to ask another process (see takeOver) it
    // waits for five intervals at most, for an address three.
    Result set(const std::string& key, const std::string& value, bool insist);
    // Removes what this process published; the entry of another process stays, which is kOk. Where
    // that fails it is tried again later.
    Result remove(const std::string& key);
    // What was published, or may have been, and is not removed.
    std::vector<std::string> keys() const;

    // How the publications under a key went, also those of the thread.
    TransferMetadata::Publications publications(const std::string& key) const;
    // Counts one that was not even tried.
    void noteRefused(const std::string& key);

    // What the thread does every interval. For tests, with an interval of 0.
    void lookAfter();

 private:
    using Entry = MetadataStorage::Entry;

    // Another process whose entry is where this one's is to be.
    struct Rival {
        bool present = false;
        std::string incarnation;
        bool answered = false;  // it lives
        std::string asked;      // its entry with the question in it
        int looks = 0;          // that found it so
    };
    struct Record {
        std::string value;       // what is to be in the store
        bool confirmed = false;  // the store has said once that it is there
        bool dirty = false;      // the store may have something else
        bool removing = false;
        Rival rival;
        uint64_t version = 0;  // of this entry, for those who look without the lock
    };

    Result write(const std::string& key, Entry expected, const Entry& desired, bool may_take);
    Result take(const std::string& key, const std::string& found, Entry* expected);
    void settle(const std::string& key, const std::string& value, bool insist,
                const Result& result);
    bool isForeign(const std::string& found) const;

    Result startWatching();
    void watch();
    bool check(const std::string& key, const Record& seen);
    bool checkForeign(const std::string& key, const Record& seen, const std::string& found);
    bool publishAgain(const std::string& key, const Record& seen, const Entry& expected,
                      const char* why);
    bool noteRival(const std::string& key, const Record& seen, const Rival& rival);
    Record* unchanged(const std::string& key, const Record& seen);

    const std::shared_ptr<MetadataStorage> storage_;
    const std::chrono::milliseconds interval_;
    std::mutex* const order_;
    const std::string incarnation_;
    bool from_living_ = true;
    std::string silent_;  // the last incarnation that did not answer; guarded by *order_
    NamedLogPace rivals_;

    // Of whoever calls lookAfter.
    uint64_t round_ = 0;
    bool reachable_ = true;

    mutable std::mutex mutex_;  // of all below; never held over a request
    std::condition_variable stopping_;
    bool stop_ = false;
    uint64_t versions_ = 0;
    std::map<std::string, Record> records_;
    std::map<std::string, TransferMetadata::Publications> publications_;  // `current` is not kept
    // Under which this process has published once. It takes none of them over again: two processes
    // that did would never end.
    std::set<std::string> had_;
    std::thread thread_;
};

}  // namespace mooncake
