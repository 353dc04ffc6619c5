// SPDX-License-Identifier: Apache-2.0
// What this process has published, and that it stays so: a store that is restarted may come back
// without it, and a request that failed may have left something older or newer there.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "metadata_storage.h"

namespace mooncake {

class RecordKeeper {
 public:
    using Result = MetadataStorage::Result;
    // Whether what was found in the store under a key must give way to what this process published
    // there; not where another process has taken the name since.
    using GivesWay = std::function<bool(const std::string& found, const std::string& own)>;

    // Every `interval` what failed is tried again; every third time, and as long as the store does
    // not answer, each record is looked up, and published again where it is missing. 0 for never.
    // `order` puts publications in order: set and remove are called with it held, and the
    // look-ups' thread takes it to publish. The thread begins with the first publication.
    RecordKeeper(std::shared_ptr<MetadataStorage> storage, std::chrono::milliseconds interval,
                 std::mutex* order, GivesWay gives_way);
    // Ends the thread, which takes as long as the request that it waits for.
    ~RecordKeeper();
    RecordKeeper(const RecordKeeper&) = delete;
    RecordKeeper& operator=(const RecordKeeper&) = delete;

    // Publishes. Where that fails and the key was published before, it is tried again later: with
    // `insist` the new value, else the one before, which the caller goes back to.
    Result set(const std::string& key, const std::string& value, bool insist);
    // Says that the store has what set could not write there. With `order` held, too.
    void confirm(const std::string& key, const std::string& value);
    // Where that fails it is tried again later.
    Result remove(const std::string& key);
    // What was published, or may have been, and is not removed.
    std::vector<std::string> keys() const;

 private:
    struct Record {
        std::string value;       // what is to be in the store
        bool confirmed = false;  // the store has said once that it is there
        bool dirty = false;      // the store may have something else
        bool removing = false;
        bool foreign = false;  // another process publishes under this key; said in the log
        uint64_t version = 0;  // of this entry, for those who look without the lock
    };

    void settle(const std::string& key, const std::string& value);
    void watch();
    bool check(const std::string& key, const Record& seen);
    void publishAgain(const std::string& key, const Record& seen, const char* why);
    Record* unchanged(const std::string& key, const Record& seen);

    const std::shared_ptr<MetadataStorage> storage_;
    const std::chrono::milliseconds interval_;
    std::mutex* const order_;
    const GivesWay gives_way_;

    mutable std::mutex mutex_;  // of all below; never held over a request
    std::condition_variable stopping_;
    bool stop_ = false;
    uint64_t versions_ = 0;
    std::map<std::string, Record> records_;
    std::thread thread_;
};

}  // namespace mooncake
