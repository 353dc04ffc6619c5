// SPDX-License-Identifier: Apache-2.0
// A directory on SQLite whose calls a test can hold up, let fail, and rob of their answers.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "directory_stub.h"

namespace mooncake::store {

class FaultyDirectory : public DirectoryStub {
 public:
    // Gets the call's name and deadline. An error is the call's: before it, nothing has happened;
    // after it, it has, and its answer is lost.
    using Hook = std::function<Result<>(const std::string& call, Deadline deadline)>;

    using DirectoryStub::DirectoryStub;

    // Either may be null.
    void setHooks(Hook before, Hook after) {
        const std::lock_guard lock(mutex_);
        before_ = std::move(before);
        after_ = std::move(after);
    }
    // Of that name, since the start.
    int calls(const std::string& name) const {
        const std::lock_guard lock(mutex_);
        const auto at = calls_.find(name);
        return at == calls_.end() ? 0 : at->second;
    }
    // The greatest number of changes of one commit.
    size_t mostChanges() const {
        const std::lock_guard lock(mutex_);
        return most_changes_;
    }
    // The lease ends then, by this client's clock; none: when it really does.
    void setLeaseEnd(std::optional<BootClock::time_point> end) {
        const std::lock_guard lock(mutex_);
        lease_end_ = end;
    }

    Lease lease() const override {
        Lease lease = real().lease();
        const std::lock_guard lock(mutex_);
        if (lease_end_) lease.end = *lease_end_;
        return lease;
    }
    Result<FileInfo> addFile(const FileDescription& description, Deadline deadline) override {
        return run("addFile", deadline, [&] { return real().addFile(description, deadline); });
    }
    Result<> mountFile(FileNumber file, const Mount& mount, Deadline deadline) override {
        return run("mountFile", deadline, [&] { return real().mountFile(file, mount, deadline); });
    }
    Result<> unmountFile(FileNumber file, Deadline deadline) override {
        return run("unmountFile", deadline, [&] { return real().unmountFile(file, deadline); });
    }
    Result<std::vector<FileInfo>> files(Deadline deadline) override {
        return run("files", deadline, [&] { return real().files(deadline); });
    }
    Result<Region> takeRegion(FileNumber file, Deadline deadline) override {
        return run("takeRegion", deadline, [&] { return real().takeRegion(file, deadline); });
    }
    Result<Region> beginClean(RegionId region, Generation generation, Deadline deadline) override {
        return run("beginClean", deadline,
                   [&] { return real().beginClean(region, generation, deadline); });
    }
    Result<> endClean(RegionId region, Generation generation, Deadline deadline) override {
        return run("endClean", deadline,
                   [&] { return real().endClean(region, generation, deadline); });
    }
    Result<std::vector<Region>> regions(FileNumber file, Deadline deadline) override {
        return run("regions", deadline, [&] { return real().regions(file, deadline); });
    }
    Result<std::vector<ChangeOutcome>> commit(const std::vector<Change>& changes,
                                              Deadline deadline) override {
        {
            const std::lock_guard lock(mutex_);
            most_changes_ = std::max(most_changes_, changes.size());
        }
        return run("commit", deadline, [&] { return real().commit(changes, deadline); });
    }
    Result<std::vector<std::optional<ObjectEntry>>> lookup(const std::vector<std::string>& keys,
                                                           Deadline deadline) override {
        return run("lookup", deadline, [&] { return real().lookup(keys, deadline); });
    }
    Result<std::vector<bool>> exists(const std::vector<std::string>& keys,
                                     const ExtentFilter& filter, Deadline deadline) override {
        return run("exists", deadline, [&] { return real().exists(keys, filter, deadline); });
    }

 private:
    template <class Call>
    auto run(const std::string& name, Deadline deadline, const Call& call) -> decltype(call()) {
        Hook before, after;
        {
            const std::lock_guard lock(mutex_);
            ++calls_[name];
            before = before_;
            after = after_;
        }
        if (before) {
            if (auto done = before(name, deadline); !done) return tl::unexpected(done.error());
        }
        auto result = call();
        if (after) {
            if (auto done = after(name, deadline); !done) return tl::unexpected(done.error());
        }
        return result;
    }

    mutable std::mutex mutex_;
    Hook before_, after_;
    std::map<std::string, int> calls_;
    size_t most_changes_ = 0;
    std::optional<BootClock::time_point> lease_end_;
};

}  // namespace mooncake::store
