// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <algorithm>
#include <cstring>

#include "kernel_state.h"
#include "transfer_metadata.h"

using namespace mooncake;
using namespace std::chrono_literals;

Load::Load(Node& node, uint64_t seed) : node_(node), random_(seed), thread_([this] { run(); }) {}

Load::~Load() {
    EXPECT_TRUE(stop()) << "a request did not end";
}

void Load::add(const std::string& segment, const std::string& path, uint32_t id, uint64_t size,
               int retries) {
    auto file = std::make_unique<File>();
    file->segment = segment;
    file->path = path;
    file->segmentId = node_.engine().openSegment(segment);
    // Its number here, which is the node's unless another file has had that.
    file->id = id;
    if (const auto record =
            node_.engine().getMetadata()->getSegmentDescByID(file->segmentId, true)) {
        for (const auto& published : record->file_buffers) {
            if (published.path == path) file->id = published.id;
        }
    }
    file->retries = retries;
    file->blocks.resize(size / kBlock);
    for (Block& block : file->blocks) block.sectors.resize(kBlock / kSector, {0});
    file->buffer = std::make_unique<test_support::AlignedBuffer>(kRequests * kBlock);
    std::lock_guard lock(mutex_);
    files_.push_back(std::move(file));
}

void Load::pause(const std::string& segment, const std::string& path, bool paused) {
    std::lock_guard lock(mutex_);
    for (auto& file : files_) {
        if (file->segment == segment && file->path == path) file->paused = paused;
    }
}

bool Load::healthy(std::chrono::seconds limit) {
    const auto since = Clock::now();
    return eventually(
        [&] {
            std::lock_guard lock(mutex_);
            return std::all_of(files_.begin(), files_.end(), [&](const auto& file) {
                return file->paused || (file->lastRead > since && file->lastWrite > since);
            });
        },
        static_cast<int>(limit.count()));
}

bool Load::fails(const std::string& segment, std::chrono::seconds limit) {
    const auto since = Clock::now();
    return eventually(
        [&] {
            std::lock_guard lock(mutex_);
            return std::any_of(files_.begin(), files_.end(), [&](const auto& file) {
                return file->segment == segment && file->lastFailure > since;
            });
        },
        static_cast<int>(limit.count()));
}

bool Load::stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return drained_;
}

Load::Report Load::report(const std::string& segment) {
    std::lock_guard lock(mutex_);
    Report all;
    for (auto& file : files_) {
        if (!segment.empty() && file->segment != segment) continue;
        const Report& one = file->report;
        all.completed += one.completed;
        all.failed += one.failed;
        all.slowest = std::max(all.slowest, one.slowest);
        all.slowestCompleted = std::max(all.slowestCompleted, one.slowestCompleted);
        if (all.wrong.empty()) all.wrong = one.wrong;
        file->report = {};
    }
    return all;
}

void Load::run() {
    auto limit = Clock::time_point::max();
    while (true) {
        bool busy = false, progress = false;
        {
            std::lock_guard lock(mutex_);
            if (stopping_ && limit == Clock::time_point::max()) limit = Clock::now() + 60s;
            for (auto& file : files_) {
                if (file->busy) progress = poll(*file) || progress;
                if (!file->busy && !stopping_ && !file->paused) begin(*file);
                busy = busy || file->busy;
            }
        }
        if (stopping_ && !busy) drained_ = true;
        if (stopping_ && (!busy || Clock::now() > limit)) return;
        if (!progress) std::this_thread::sleep_for(2ms);
    }
}

void Load::begin(File& file) {
    std::vector<TransferRequest> requests;
    file.pending.clear();
    std::set<size_t> taken;
    while (requests.size() < kRequests) {
        const size_t block = random_() % file.blocks.size();
        if (!taken.insert(block).second) continue;
        uint8_t* memory = file.buffer->data() + requests.size() * kBlock;
        Pending pending{block, random_() % 2 == 0 ? ++versions_ : 0, Clock::now()};
        if (pending.version != 0) {
            test_support::fillPattern(pending.version, block * kBlock, memory, kBlock);
        } else {
            memset(memory, 0xee, kBlock);
        }
        requests.push_back({pending.version != 0 ? TransferRequest::WRITE : TransferRequest::READ,
                            memory, file.segmentId, block * kBlock, kBlock, file.retries, file.id});
        file.pending.push_back(pending);
    }
    file.batch = node_.engine().allocateBatchID(requests.size());
    file.busy = node_.engine().submitTransfer(file.batch, requests).ok();
    EXPECT_TRUE(file.busy);
}

bool Load::poll(File& file) {
    bool all = true, some = false;
    for (size_t i = 0; i < file.pending.size(); ++i) {
        if (file.pending[i].ended) continue;
        TransferStatus status{TransferStatusEnum::INVALID, 0};
        EXPECT_TRUE(node_.engine().getTransferStatus(file.batch, i, status).ok());
        if (status.s == TransferStatusEnum::WAITING) {
            all = false;
            continue;
        }
        some = true;
        file.pending[i].ended = true;
        ended(file, i, status.s == TransferStatusEnum::COMPLETED);
    }
    if (all) {
        EXPECT_TRUE(node_.engine().freeBatchID(file.batch).ok());
        file.busy = false;
    }
    return some;
}

void Load::ended(File& file, size_t index, bool completed) {
    const Pending& pending = file.pending[index];
    Report& report = file.report;
    const double took = std::chrono::duration<double>(Clock::now() - pending.since).count();
    report.slowest = std::max(report.slowest, took);
    ++(completed ? report.completed : report.failed);
    if (completed) {
        report.slowestCompleted = std::max(report.slowestCompleted, took);
        (pending.version != 0 ? file.lastWrite : file.lastRead) = pending.since;
    } else {
        file.lastFailure = pending.since;
    }
    for (auto& sector : file.blocks[pending.block].sectors) {
        if (pending.version == 0) break;
        if (completed) sector.clear();
        sector.insert(pending.version);
    }
    if (completed && pending.version == 0 && report.wrong.empty()) {
        report.wrong = verify(file, index);
    }
}

std::string Load::verify(const File& file, size_t index) const {
    const size_t block = file.pending[index].block;
    const uint8_t* memory = file.buffer->data() + index * kBlock;
    const auto& sectors = file.blocks[block].sectors;
    const std::vector<uint8_t> zeros(kSector);
    for (size_t i = 0; i < sectors.size(); ++i) {
        const uint8_t* data = memory + i * kSector;
        const uint64_t offset = block * kBlock + i * kSector;
        std::string versions;
        const bool right = std::any_of(sectors[i].begin(), sectors[i].end(), [&](uint64_t version) {
            versions += " " + std::to_string(version);
            return version == 0
                       ? memcmp(data, zeros.data(), kSector) == 0
                       : test_support::comparePattern(version, offset, data, kSector) == "";
        });
        if (!right) {
            return "segment " + file.segment + " file " + file.path + " offset " +
                   std::to_string(offset) + " holds " + contents(offset, data) +
                   ", none of the versions" + versions;
        }
    }
    return "";
}

std::string Load::contents(uint64_t offset, const uint8_t* sector) const {
    for (uint64_t version = versions_; version > 0; --version) {
        if (test_support::comparePattern(version, offset, sector, kSector).empty()) {
            return "version " + std::to_string(version);
        }
    }
    if (std::all_of(sector, sector + kSector, [&](uint8_t byte) { return byte == sector[0]; })) {
        return "bytes " + std::to_string(sector[0]);
    }
    return "something else";
}
