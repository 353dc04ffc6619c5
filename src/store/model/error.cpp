// SPDX-License-Identifier: Apache-2.0
#include "error.h"

namespace mooncake::store {

std::string_view toString(Failure failure) {
    switch (failure) {
        case Failure::kInvalid:
            return "invalid";
        case Failure::kNotFound:
            return "not found";
        case Failure::kConflict:
            return "conflict";
        case Failure::kLeaseLost:
            return "lease lost";
        case Failure::kTimeout:
            return "timeout";
        case Failure::kUnavailable:
            return "unavailable";
        case Failure::kNoSpace:
            return "no space";
        case Failure::kFull:
            return "full";
        case Failure::kRefused:
            return "refused";
        case Failure::kDamaged:
            return "damaged";
        case Failure::kUnsupported:
            return "unsupported";
        case Failure::kInternal:
            return "internal";
    }
    return "unknown";
}

}  // namespace mooncake::store
