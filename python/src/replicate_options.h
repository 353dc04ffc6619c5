// SPDX-License-Identifier: Apache-2.0
// Python's ReplicateConfig: the words of Mooncake's older and newer versions for one thing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "mooncake_store/replica.h"
#include "mooncake_store/types.h"

namespace mooncake::python {

enum class SoftPinAction { PRESERVE = 0, ENABLE, DISABLE };

struct ReplicateOptions {
    size_t replica_num = 1;
    bool with_soft_pin = false;
    bool with_hard_pin = false;
    std::string preferred_segment;
    std::vector<std::string> preferred_segments;
    bool prefer_alloc_in_same_node = false;
    SoftPinAction soft_pin_action = SoftPinAction::PRESERVE;
    std::optional<uint64_t> soft_pin_ttl_ms;
    // All copies of this store are on files over NVMe-oF.
    size_t nof_replica_num = 0;
    size_t dfs_replica_num = 0;
    std::vector<std::string> preferred_nof_segments;
    // Without effect.
    int64_t data_type = 0;
    std::vector<std::string> group_ids;

    // INVALID_PARAMS where soft_pin_ttl_ms is given and no pin.
    tl::expected<ReplicateConfig, ErrorCode> config() const;
    std::string text() const;
};

}  // namespace mooncake::python
