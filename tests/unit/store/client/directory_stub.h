// SPDX-License-Identifier: Apache-2.0
// A directory on SQLite between whose calls a test may put what it likes.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "directory.h"
#include "file_table.h"

namespace mooncake::store {

class DirectoryStub : public Directory {
 public:
    static Deadline soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

    // @param address  of one that others have, too; empty: of the test's own
    explicit DirectoryStub(std::string address = "", const std::string& node = "node") {
        if (address.empty()) {
            std::string pattern = std::filesystem::current_path() / "store-client-XXXXXX";
            EXPECT_NE(mkdtemp(pattern.data()), nullptr);
            folder_ = pattern;
            address = folder_ + "/store.db";
        }
        DirectoryOptions options;
        options.lease = std::chrono::seconds(100);
        auto opened = open(address, options, soon());
        EXPECT_TRUE(opened) << opened.error().message;
        real_ = std::move(*opened);
        EXPECT_TRUE(real_->join(node, soon()));
    }
    ~DirectoryStub() override {
        real_.reset();
        if (!folder_.empty()) std::filesystem::remove_all(folder_);
    }
    // Past the test.
    Directory& real() const { return *real_; }
    // Of regions of 4 MiB; nobody serves it.
    KnownFile addKnownFile(uint32_t regions = 8) {
        KnownFile file;
        const uint64_t bytes = uint64_t{1 + 4 * regions} << 20;
        file.info.description = {Uuid::random(), bytes, 4 << 20, regions, false};
        file.geometry = {4 << 20, regions};
        file.load = std::make_shared<FileLoad>();
        file.load->clean = regions;
        const auto added = real_->addFile(file.info.description, soon());
        EXPECT_TRUE(added) << added.error().message;
        file.info = *added;
        return file;
    }

    Uuid storeId() const override { return real_->storeId(); }
    Result<ClientId> join(const std::string& node, Deadline deadline) override {
        return real_->join(node, deadline);
    }
    Result<> leave(Deadline deadline) override { return real_->leave(deadline); }
    Lease lease() const override { return real_->lease(); }
    Result<std::vector<ClientInfo>> clients(Deadline deadline) override {
        return real_->clients(deadline);
    }
    Result<FileInfo> addFile(const FileDescription& description, Deadline deadline) override {
        return real_->addFile(description, deadline);
    }
    Result<> mountFile(FileNumber file, const Mount& mount, Deadline deadline) override {
        return real_->mountFile(file, mount, deadline);
    }
    Result<> unmountFile(FileNumber file, Deadline deadline) override {
        return real_->unmountFile(file, deadline);
    }
    Result<> giveUpFile(FileNumber file, Deadline deadline) override {
        return real_->giveUpFile(file, deadline);
    }
    Result<std::vector<FileInfo>> files(Deadline deadline) override {
        return real_->files(deadline);
    }
    Result<std::vector<FreeRegions>> freeRegions(Deadline deadline) override {
        return real_->freeRegions(deadline);
    }
    Result<Region> takeRegion(FileNumber file, Deadline deadline) override {
        return real_->takeRegion(file, deadline);
    }
    Result<Region> adoptRegion(RegionId region, Generation generation, Deadline deadline) override {
        return real_->adoptRegion(region, generation, deadline);
    }
    Result<> sealRegion(RegionId region, Generation generation, RegionUse use,
                        Deadline deadline) override {
        return real_->sealRegion(region, generation, use, deadline);
    }
    Result<Region> beginClean(RegionId region, Generation generation, Deadline deadline) override {
        return real_->beginClean(region, generation, deadline);
    }
    Result<> endClean(RegionId region, Generation generation, Deadline deadline) override {
        return real_->endClean(region, generation, deadline);
    }
    Result<std::vector<Region>> regions(FileNumber file, Deadline deadline) override {
        return real_->regions(file, deadline);
    }
    Result<> touch(const std::vector<RegionId>& regions, Deadline deadline) override {
        return real_->touch(regions, deadline);
    }
    Result<std::vector<ChangeOutcome>> commit(const std::vector<Change>& changes,
                                              Deadline deadline) override {
        return real_->commit(changes, deadline);
    }
    Result<std::vector<std::optional<ObjectEntry>>> lookup(const std::vector<std::string>& keys,
                                                           Deadline deadline) override {
        return real_->lookup(keys, deadline);
    }
    Result<std::vector<bool>> exists(const std::vector<std::string>& keys,
                                     const ExtentFilter& filter, Deadline deadline) override {
        return real_->exists(keys, filter, deadline);
    }
    Result<std::vector<Edit>> edit(const std::vector<std::string>& keys, const Editor& editor,
                                   Deadline deadline) override {
        return real_->edit(keys, editor, deadline);
    }
    Result<std::vector<bool>> remove(const std::vector<std::string>& keys,
                                     Deadline deadline) override {
        return real_->remove(keys, deadline);
    }
    Result<Page> list(const std::string& prefix, const std::string& from, size_t limit,
                      Deadline deadline) override {
        return real_->list(prefix, from, limit, deadline);
    }
    Result<std::unique_ptr<DirectoryWatch>> watch(Deadline deadline) override {
        return real_->watch(deadline);
    }
    Result<> ping(Deadline deadline) override { return real_->ping(deadline); }
    Result<std::vector<Finding>> check(Deadline deadline) override {
        return real_->check(deadline);
    }
    DirectoryStatistics statistics() const override { return real_->statistics(); }

 private:
    std::string folder_;  // empty: none of its own
    std::unique_ptr<Directory> real_;
};

}  // namespace mooncake::store
