// SPDX-License-Identifier: Apache-2.0
// A client: its parts, the threads that look after them, and what the public interface calls.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "call_gate.h"
#include "client_parts.h"
#include "deadline_mutex.h"
#include "get_call.h"
#include "key_pattern.h"
#include "mounted_files.h"
#include "pin_mover.h"
#include "put_call.h"
#include "statistics_file.h"

namespace mooncake::store {

// Thread rule: any thread, from start() to close().
class ClientCore {
 public:
    static Result<std::shared_ptr<ClientCore>> start(const ClientOptions& options);
    ~ClientCore();
    ClientCore(const ClientCore&) = delete;
    ClientCore& operator=(const ClientCore&) = delete;

    // Waits for all calls. Again: nothing.
    void close();
    CallGate& gate() { return gate_; }
    // In a forked child: its threads, connections and lease are its parent's.
    bool isInherited() const { return process_ != ::getpid(); }

    void get(std::span<GetCall::Item> items);
    void put(std::span<PutCall::Item> items, const ReplicateConfig& config, bool replaces);
    std::vector<tl::expected<QueryResult, ErrorCode>> query(const std::vector<std::string>& keys);
    Result<std::unordered_map<std::string, std::vector<mooncake::Replica::Descriptor>>>
    queryMatching(const KeyPattern& pattern);
    Result<std::vector<bool>> exists(const std::vector<std::string>& keys);
    Result<std::vector<bool>> remove(const std::vector<std::string>& keys);
    // @return how many
    Result<uint64_t> removeMatching(const KeyPattern& pattern);
    Result<uint64_t> removeAll();

    Result<> mount(const std::string& path, bool overwrite);
    Result<std::string> mountScratch(const std::string& folder, uint64_t size);
    Result<> unmount(const std::string& path);

    Result<> health();
    std::string segmentName() const { return mounted_.segmentName(); }
    TransferEngine& engine() { return *engine_; }
    ClientStatistics statistics() const;
    std::string metricsText() const;
    std::string summary() const;

    // The entry that a query has found.
    static EntryPtr entryOf(const QueryResult& result) { return result.entry_; }

 private:
    ClientCore(const ClientOptions& options, StatisticsOptions statistics,
               std::shared_ptr<TransferEngine> engine, std::unique_ptr<Directory> directory);
    Deadline deadline() const { return std::chrono::steady_clock::now() + options_.timeout; }
    Result<> ensureMember(Deadline deadline);
    std::vector<mooncake::Replica::Descriptor> describe(const ObjectEntry& entry) const;
    bool isReadable(const FileMap& files, const Extent& extent) const;

    // Of the threads. A region was taken, or is to be sealed, or a file was mounted.
    void attend();
    template <class Step>
    void repeat(const char* what, bool attends, const Step& step);
    void watchFiles();
    void keepHouse();
    void makeReserves();
    void writeStatistics();

    const ClientOptions options_;
    const StatisticsOptions statistics_options_;
    std::unique_ptr<StatisticsFile> statistics_file_;  // null: they are not written
    const pid_t process_ = ::getpid();
    const std::string node_;
    const std::shared_ptr<TransferEngine> engine_;
    const bool owns_engine_;
    ClientCounters counters_;
    Durations get_times_;
    Durations put_times_;
    const std::unique_ptr<Directory> directory_;
    Ways ways_;
    FileTable files_;
    DataPath data_;
    EntryCache cache_;
    TouchedRegions touched_;
    OpenRegions open_;
    PinMover mover_;
    Evictor evictor_;
    MountedFiles mounted_;
    ClientParts parts_;
    CallGate gate_;

    DeadlineMutex joining_;  // held while this client joins
    // Whether the directory knows what this client mounts.
    std::atomic<bool> is_announced_{true};
    std::mutex closing_;  // held by close
    bool is_closed_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool is_stopping_ = false;
    uint64_t attentions_ = 0;  // calls of attend()
    std::vector<std::thread> threads_;
};

}  // namespace mooncake::store
