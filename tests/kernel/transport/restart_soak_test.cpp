// SPDX-License-Identifier: Apache-2.0
// A target that comes back again and again with other files in another order, and programs that go
// on with the numbers they have.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "cluster.h"
#include "kernel_state.h"
#include "target_process.h"
#include "transfer_metadata.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kFiles = 4, kSize = 1 << 20, kSector = 4096, kSectors = 4;

int numberFrom(const char* variable, int otherwise) {
    const char* text = getenv(variable);
    return text != nullptr ? atoi(text) : otherwise;
}

/// What stands in each sector: which file it was written to, and where.
struct Label {
    uint64_t magic;
    uint64_t offset;
    char path[64];
    char uuid[40];  // as published when the writer learned its number
};
constexpr uint64_t kMagic = 0x6d656469746c6966;

Label labelOf(const std::string& path, const std::string& uuid, uint64_t offset) {
    Label label{kMagic, offset, {}, {}};
    path.copy(label.path, sizeof(label.path) - 1);
    uuid.copy(label.uuid, sizeof(label.uuid) - 1);
    return label;
}

/// @return what is wrong with a sector of this file, or ""; an empty uuid: any, which it receives
std::string wrongIn(const uint8_t* sector, const std::string& path, std::string& uuid,
                    uint64_t offset) {
    Label found;
    memcpy(&found, sector, sizeof(found));
    if (found.magic == 0) return "";  // never written
    if (uuid.empty()) uuid = found.uuid;
    const Label right = labelOf(path, uuid, offset);
    if (memcmp(&found, &right, sizeof(found)) == 0) return "";
    return path + " " + uuid + " at " + std::to_string(offset) + " holds what was written to " +
           found.path + " " + found.uuid + " at " + std::to_string(found.offset);
}

/// Reads and writes all files that it has ever seen, by the numbers under which it saw them first.
class Program {
 public:
    Program(const MetadataServer& metadata, const std::string& name, uint64_t seed)
        : node_(metadata, name), random_(seed) {
        segment_ = node_.engine().openSegment("target");
        learn();
        thread_ = std::thread([this] { run(); });
    }
    ~Program() { end(); }

    void end() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }

    /// Waits until it has read or written each of these files, as they are now, once more.
    bool uses(const std::set<std::string>& paths) {
        {
            std::lock_guard lock(mutex_);
            used_.clear();
        }
        return eventually(
            [&] {
                std::lock_guard lock(mutex_);
                return std::includes(used_.begin(), used_.end(), paths.begin(), paths.end());
            },
            180);
    }
    uint64_t completed() const { return completed_; }
    uint64_t failed() const { return failed_; }

 private:
    struct File {
        uint32_t number;
        std::string path, uuid;
    };

    void run() {
        AlignedBuffer buffer(kSectors * kSector);
        while (!stop_) {
            if (random_() % 16 == 0) learn();
            if (files_.empty()) continue;
            const File file = files_[random_() % files_.size()];
            const uint64_t offset = random_() % (kSize / kSector - kSectors + 1) * kSector;
            use(file, offset, buffer);
        }
    }

    void use(const File& file, uint64_t offset, AlignedBuffer& buffer) {
        const bool writes = random_() % 2 == 0;
        memset(buffer.data(), 0, buffer.size());
        for (size_t i = 0; writes && i < kSectors; ++i) {
            const Label label = labelOf(file.path, file.uuid, offset + i * kSector);
            memcpy(buffer.data() + i * kSector, &label, sizeof(label));
        }
        const bool done =
            writes ? node_.write(segment_, file.number, offset, buffer.data(), buffer.size())
                   : node_.read(segment_, file.number, offset, buffer.data(), buffer.size());
        ++(done ? completed_ : failed_);
        if (!done) return;
        for (size_t i = 0; i < kSectors; ++i) {
            std::string uuid = file.uuid;
            EXPECT_EQ(wrongIn(buffer.data() + i * kSector, file.path, uuid, offset + i * kSector),
                      "");
        }
        std::lock_guard lock(mutex_);
        used_.insert(file.path);
    }

    // Looks at the segment again, in one of the ways there are.
    void learn() {
        switch (random_() % 3) {
            case 0:
                node_.engine().getMetadata()->getSegmentDescByID(segment_, true);
                break;
            case 1:
                node_.engine().syncSegmentCache("target");
                break;
            default:
                node_.engine().closeSegment(segment_);
                if (node_.engine().openSegment("target") == static_cast<SegmentID>(-1)) return;
        }
        const auto record = node_.engine().getMetadata()->getSegmentDescByID(segment_);
        if (!record) return;
        for (const auto& published : record->file_buffers) {
            const auto known = std::find_if(files_.begin(), files_.end(), [&](const File& file) {
                return file.number == published.id;
            });
            if (known != files_.end()) {
                EXPECT_EQ(known->uuid, published.uuid) << "number " << published.id;
                continue;
            }
            EXPECT_FALSE(published.uuid.empty());
            files_.push_back({published.id, published.path, published.uuid});
        }
        // Those that are gone for good are tried for a while.
        if (files_.size() > 3 * kFiles) files_.erase(files_.begin());
    }

    Node node_;
    SegmentID segment_ = 0;
    std::mt19937_64 random_;
    std::vector<File> files_;
    std::mutex mutex_;
    std::set<std::string> used_;
    std::atomic<uint64_t> completed_{0}, failed_{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

// Every incarnation of a file, also those that were deleted.
class Files {
 public:
    explicit Files(const std::string& folder) {
        for (size_t i = 0; i < kFiles; ++i) {
            paths_.push_back(folder + "/soak_" + std::string(1, static_cast<char>('a' + i)));
            makeFile(paths_[i], kSize);
        }
    }
    ~Files() {
        for (const auto& [path, fd] : deleted_) close(fd);
        for (const std::string& path : paths_) std::filesystem::remove(path);
    }
    const std::vector<std::string>& paths() const { return paths_; }

    // Half of them go for good, so that their inodes are used again.
    void makeAnew(const std::string& path, bool keep) {
        check(path);
        if (keep) deleted_.emplace_back(path, open(path.c_str(), O_RDONLY | O_CLOEXEC));
        std::filesystem::remove(path);
        makeFile(path, kSize);
    }
    // Each sector of each of them was written to it and to no other.
    void checkAll() {
        for (const std::string& path : paths_) check(path);
        for (const auto& [path, fd] : deleted_) check(path, fd);
    }
    size_t written() const { return written_; }

 private:
    void check(const std::string& path) {
        const auto content = readDirect(path, 0, kSize);
        check(path, content.data());
    }
    void check(const std::string& path, int fd) {
        std::vector<uint8_t> content(kSize);
        ASSERT_EQ(pread(fd, content.data(), kSize, 0), static_cast<ssize_t>(kSize));
        check(path, content.data());
    }
    void check(const std::string& path, const uint8_t* content) {
        std::string uuid;
        for (uint64_t at = 0; at < kSize; at += kSector) {
            ASSERT_EQ(wrongIn(content + at, path, uuid, at), "");
        }
        if (!uuid.empty()) ++written_;
    }

    std::vector<std::string> paths_;
    std::vector<std::pair<std::string, int>> deleted_;
    size_t written_ = 0;
};

// NVMEOF_TEST_RESTARTS: how many; NVMEOF_TEST_SOAK_SEED: which.
TEST(RestartSoak, NoByteOfOneFileEverInAnother) {
    const int restarts = numberFrom("NVMEOF_TEST_RESTARTS", 20);
    const auto seed = static_cast<uint64_t>(numberFrom("NVMEOF_TEST_SOAK_SEED", 1));
    printf("    seed %lu, %d restarts\n", seed, restarts);
    std::mt19937_64 random(seed);
    const auto before = nvmetObjects(), controllers = nvmeControllers();
    MetadataServer metadata;
    Files files(testFolder());
    std::unique_ptr<TargetProcess> target;
    std::set<std::string> present;
    // Numbers are ranks: the first that is registered is 1.
    const auto start = [&] {
        std::vector<std::string> order = files.paths();
        std::shuffle(order.begin(), order.end(), random);
        order.resize(1 + random() % kFiles);
        present = {order.begin(), order.end()};
        std::string list;
        for (const std::string& path : order) list += (list.empty() ? "" : " ") + path;
        target = std::make_unique<TargetProcess>(metadata, list, "4420");
        return target->ready();
    };
    ASSERT_TRUE(start());
    std::vector<std::unique_ptr<Program>> programs;
    for (const char* name : {"first", "second"}) {
        programs.push_back(std::make_unique<Program>(metadata, name, random()));
    }
    for (int i = 0; i < restarts && !::testing::Test::HasFailure(); ++i) {
        for (auto& program : programs) {
            EXPECT_TRUE(program->uses(present)) << "after " << i << " restarts";
        }
        const int signal = random() % 2 == 0 ? SIGKILL : SIGTERM;
        target->signal(signal);
        EXPECT_EQ(target->wait(), signal == SIGKILL ? 128 + SIGKILL : 0) << target->output();
        if (random() % 3 == 0) {
            const std::string& path = files.paths()[random() % kFiles];
            // What a killed target exported the kernel still writes.
            if (signal == SIGTERM) files.makeAnew(path, random() % 2 == 0);
        }
        ASSERT_TRUE(start());
    }
    uint64_t completed = 0, failed = 0;
    for (auto& program : programs) {
        program->end();
        completed += program->completed();
        failed += program->failed();
    }
    programs.clear();
    target->signal(SIGTERM);
    EXPECT_EQ(target->wait(), 0) << target->output();
    files.checkAll();
    printf("    %lu requests completed, %lu failed, %zu contents compared\n", completed, failed,
           files.written());
    EXPECT_GT(failed, 0u) << "no file was ever missed";
    EXPECT_GE(files.written(), kFiles);
    EXPECT_EQ(nvmetObjects(), before);
    EXPECT_TRUE(eventually([&] { return nvmeControllers() == controllers; }));
}

}  // namespace
