// SPDX-License-Identifier: Apache-2.0
#include "mooncake_store/replica.h"

namespace mooncake {

std::ostream& operator<<(std::ostream& out, const ReplicateConfig& config) {
    out << "{replica_num: " << config.replica_num
        << ", with_soft_pin: " << (config.with_soft_pin ? "true" : "false")
        << ", with_hard_pin: " << (config.with_hard_pin ? "true" : "false")
        << ", preferred_segment: " << config.preferred_segment << ", preferred_segments: [";
    const char* between = "";
    for (const std::string& segment : config.preferred_segments) {
        out << between << segment;
        between = ", ";
    }
    return out << "]}";
}

std::ostream& operator<<(std::ostream& out, ReplicaStatus status) {
    switch (status) {
        case ReplicaStatus::UNDEFINED:
            return out << "UNDEFINED";
        case ReplicaStatus::INITIALIZED:
            return out << "INITIALIZED";
        case ReplicaStatus::PROCESSING:
            return out << "PROCESSING";
        case ReplicaStatus::COMPLETE:
            return out << "COMPLETE";
        case ReplicaStatus::REMOVED:
            return out << "REMOVED";
        case ReplicaStatus::FAILED:
            return out << "FAILED";
    }
    return out << static_cast<int>(status);
}

}  // namespace mooncake
