// SPDX-License-Identifier: Apache-2.0
#include "store_health.h"

#include <glog/logging.h>

namespace mooncake {

namespace {

constexpr std::chrono::seconds kBetweenLines(60);

}  // namespace

void StoreHealth::note(const MetadataStorage::Result& result, Clock::time_point now) {
    using std::chrono::duration_cast;
    using std::chrono::seconds;
    std::lock_guard lock(mutex_);
    if (result.outcome != MetadataStorage::Outcome::kFailed) {
        LOG_IF(INFO, said_) << "The metadata store answers again, after "
                            << duration_cast<seconds>(now - since_).count() << " s";
        away_ = said_ = false;
        return;
    }
    if (!away_) since_ = now;
    away_ = true;
    ++failed_;
    if (now < next_) return;
    LOG(WARNING) << "The metadata store does not answer: " << result.error
                 << (failed_ > 1 ? " (and " + std::to_string(failed_ - 1) +
                                       " more operations failed since the last such line)"
                                 : "");
    said_ = true;
    failed_ = 0;
    next_ = now + kBetweenLines;
}

}  // namespace mooncake
