// SPDX-License-Identifier: Apache-2.0
#include "replicate_options.h"

#include <algorithm>
#include <sstream>

namespace mooncake::python {

tl::expected<ReplicateConfig, ErrorCode> ReplicateOptions::config() const {
    ReplicateConfig config;
    config.replica_num = std::max(replica_num, nof_replica_num);
    config.with_soft_pin = with_soft_pin || soft_pin_action == SoftPinAction::ENABLE;
    config.with_hard_pin = with_hard_pin;
    config.preferred_segment = preferred_segment;
    config.preferred_segments = preferred_segments;
    config.preferred_segments.insert(config.preferred_segments.end(),
                                     preferred_nof_segments.begin(), preferred_nof_segments.end());
    config.prefer_alloc_in_same_node = prefer_alloc_in_same_node;
    if (soft_pin_ttl_ms && !config.with_soft_pin) {
        return tl::unexpected(ErrorCode::INVALID_PARAMS);
    }
    return config;
}

std::string ReplicateOptions::text() const {
    ReplicateOptions valid = *this;
    valid.soft_pin_ttl_ms.reset();
    std::ostringstream out;
    out << *valid.config();
    return out.str();
}

}  // namespace mooncake::python
