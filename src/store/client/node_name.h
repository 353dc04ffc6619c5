// SPDX-License-Identifier: Apache-2.0
// Which machine a segment's name means.
#pragma once

#include <string>
#include <string_view>

namespace mooncake::store {

// "10.0.0.1" of "10.0.0.1:12345"; "fd00::1" of "[fd00::1]:12345".
inline std::string_view hostOf(std::string_view segment) {
    if (!segment.empty() && segment.front() == '[') {
        const size_t end = segment.find(']');
        return end == std::string_view::npos ? segment : segment.substr(1, end - 1);
    }
    const size_t colon = segment.find(':');
    // Several: an IPv6 address without a port.
    if (colon == std::string_view::npos || segment.rfind(':') != colon) return segment;
    return segment.substr(0, colon);
}

// What tells machines apart: the host, but for names that each machine has.
inline std::string nodeOf(std::string_view segment) {
    const std::string_view host = hostOf(segment);
    const bool is_loopback = host == "localhost" || host == "::1" || host.starts_with("127.");
    return std::string(is_loopback ? segment : host);
}

}  // namespace mooncake::store
