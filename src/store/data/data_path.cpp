// SPDX-License-Identifier: Apache-2.0
#include "data_path.h"

#include "checksum.h"
#include "job.h"

namespace mooncake::store {
namespace {

// Calls at one time whose memory is kept for the next ones.
constexpr size_t kMostSpare = 64;

template <class Item>
uint64_t count(std::span<Item> items, Outcome outcome) {
    uint64_t found = 0;
    for (const Item& item : items) found += item.outcome == outcome;
    return found;
}

}  // namespace

// A job for one call.
class DataPath::Lent {
 public:
    explicit Lent(DataPath& path) : path_(path) {
        {
            const std::lock_guard lock(path.mutex_);
            if (!path.spare_.empty()) {
                job_ = std::move(path.spare_.back());
                path.spare_.pop_back();
            }
        }
        if (!job_) job_ = std::make_unique<Job>(path.engine_, path.staging_, path.options_);
    }
    // Not after an exception, which leaves it half planned.
    template <class Item>
    void done(std::span<Item> items) {
        constexpr auto kRelaxed = std::memory_order_relaxed;
        path_.direct_bytes_.fetch_add(job_->directBytes(), kRelaxed);
        path_.staged_bytes_.fetch_add(job_->stagedBytes(), kRelaxed);
        path_.requests_.fetch_add(job_->requests(), kRelaxed);
        path_.checksum_mismatches_.fetch_add(count(items, Outcome::kChecksumMismatch), kRelaxed);
        path_.io_errors_.fetch_add(count(items, Outcome::kIoError), kRelaxed);
        path_.timeouts_.fetch_add(count(items, Outcome::kTimeout), kRelaxed);
        const std::lock_guard lock(path_.mutex_);
        // There is room: see the constructor of DataPath.
        if (path_.spare_.size() < kMostSpare) path_.spare_.push_back(std::move(job_));
    }
    Job* operator->() const { return job_.get(); }

 private:
    DataPath& path_;
    std::unique_ptr<Job> job_;
};

DataPath::DataPath(TransferEngine& engine, const DataOptions& options)
    : engine_(engine), options_(options), staging_(options.staging_bytes) {
    spare_.reserve(kMostSpare);
    // The library chooses its functions at the first call for more than 240 bytes
    // (XXH3_MIDSIZE_MAX), which is not to be two threads' at once.
    static constexpr char kLong[256] = {};
    (void)checksumOf(kLong, sizeof(kLong));
}

DataPath::~DataPath() = default;

void DataPath::get(std::span<GetItem> items, TimePoint until) {
    Lent job(*this);
    job->get(items, until);
    job.done(items);
}

void DataPath::put(std::span<PutItem> items, Describer& describer, TimePoint until) {
    Lent job(*this);
    job->put(items, describer, until);
    job.done(items);
}

DataCounts DataPath::counts() const {
    DataCounts counts;
    counts.direct_bytes = direct_bytes_.load();
    counts.staged_bytes = staged_bytes_.load();
    counts.requests = requests_.load();
    counts.checksum_mismatches = checksum_mismatches_.load();
    counts.io_errors = io_errors_.load();
    counts.timeouts = timeouts_.load();
    return counts;
}

}  // namespace mooncake::store
