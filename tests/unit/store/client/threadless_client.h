// SPDX-License-Identifier: Apache-2.0
// The parts of a client without its threads, on a faulty directory and files in memory: nothing
// happens but what a test calls.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "faulty_directory.h"
#include "get_call.h"
#include "memory_transport/memory_transport.h"
#include "mounted_files.h"
#include "nodes.h"
#include "pin_mover.h"
#include "put_call.h"
#include "report.h"

namespace mooncake::store {

using test_support::MemoryTransportControl;
using test_support::TransferFault;

class ThreadlessClient {
 public:
    // @param io_bound  see ClientOptions
    ThreadlessClient(MemoryTransportControl* control, const std::string& address,
                     const std::string& name, std::chrono::milliseconds io_bound = {});

    // Makes the file in the folder, and mounts it. @return its number
    FileNumber mountFile(const mooncake::test::Folder& folder, uint32_t regions);
    ErrorCode put(const std::string& key, size_t size, const ReplicateConfig& config = {},
                  bool replaces = false, Deadline deadline = DirectoryStub::soon());
    // OK where the bytes are those of the key.
    ErrorCode get(const std::string& key, size_t size);
    std::optional<ObjectEntry> entry(const std::string& key);
    void refresh() { EXPECT_TRUE(files.refresh(DirectoryStub::soon())); }
    const KnownFile& file(FileNumber number) { return known_->at(number); }
    ClientStatistics numbers() const { return counters.read(); }

    const std::string node;
    FaultyDirectory directory;
    MemoryTransportControl* const control;
    const std::shared_ptr<TransferEngine> engine;
    ClientCounters counters;
    Ways ways;
    FileTable files;
    DataPath data;
    EntryCache cache;
    TouchedRegions touched;
    OpenRegions open;
    PinMover mover;
    Evictor evictor;
    MountedFiles mounted;
    // Called instead of joining anew where that is needed.
    std::function<Result<>()> member;
    int members = 0;  // how often that was asked
    ClientParts parts;

    Result<> ensureMember(Deadline deadline);
    // The files that are known are those that file() gives until the next call.
    void look() { known_ = files.files(); }

 private:
    std::shared_ptr<const FileMap> known_;
};

// A folder, a directory and the files' memory.
class ThreadlessClientTest : public testing::Test {
 protected:
    ThreadlessClientTest();
    ~ThreadlessClientTest() override;

    std::unique_ptr<ThreadlessClient> client(const std::string& name,
                                             std::chrono::milliseconds io_bound = {}) {
        return std::make_unique<ThreadlessClient>(&control, folder.path() + "/store.db", name,
                                                  io_bound);
    }

    const mooncake::test::Folder folder;
    MemoryTransportControl control;
};

}  // namespace mooncake::store
