// SPDX-License-Identifier: Apache-2.0
// Small helpers that programs written for file segments find in Mooncake's header of the same name.
#pragma once

// More than this header needs: programs that include Mooncake's get these with it and may count on
// that.
#include <arpa/inet.h>
#include <errno.h>
#include <glog/logging.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <shared_mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "error.h"

namespace mooncake {

// The segment of the process itself.
inline constexpr int LOCAL_SEGMENT_ID = 0;

// Where a server's name gives no port.
inline uint16_t getDefaultHandshakePort() {
    return 12001;
}

// This machine's name, empty (and logged) where the kernel does not say. Thread-safe.
static inline std::string getHostname() {
    char name[256] = {};
    if (gethostname(name, sizeof(name) - 1) != 0) {
        PLOG(ERROR) << "gethostname failed";
        return "";
    }
    return name;
}

// Wall clock, nanoseconds since 1970. Thread-safe.
static inline int64_t getCurrentTimeInNano() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// Local time as "2025-01-31 23:59:59.000000", the form of a descriptor's timestamp. Thread-safe.
static inline std::string getCurrentDateTime() {
    const int64_t micros = getCurrentTimeInNano() / 1000;
    const std::time_t seconds = static_cast<std::time_t>(micros / 1000000);
    std::tm local = {};
    localtime_r(&seconds, &local);
    char date[32] = {};
    std::strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &local);
    char text[48] = {};
    std::snprintf(text, sizeof(text), "%s.%06d", date, static_cast<int>(micros % 1000000));
    return text;
}

// The whole of `text` as a decimal number of type T, or nothing.
template <typename T>
std::optional<T> parseFromString(std::string_view text) {
    T value = T();
    const char* end = text.data() + text.size();
    auto [last, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || last != end) return std::nullopt;
    return value;
}

// `text` as a port; `default_port`, with a line in the log, where it is none.
static inline uint16_t getPortFromString(std::string_view text, uint16_t default_port) {
    if (auto port = parseFromString<uint16_t>(text)) return *port;
    LOG(WARNING) << "'" << text << "' is not a port (0 to 65535); using " << default_port;
    return default_port;
}

// Whether `address` is a numeric IPv6 address, without brackets and scope.
static inline bool isValidIpV6(const std::string& address) {
    in6_addr parsed = {};
    return inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

// An IPv6 address in brackets, anything else as it is.
static inline std::string maybeWrapIpV6(const std::string& address) {
    return isValidIpV6(address) ? "[" + address + "]" : address;
}

// Splits "host", "host:port", "1.2.3.4:port", "::1", "[::1]" and "[::1]:port"; the default
// handshake port where there is none.
static inline std::pair<std::string, uint16_t> parseHostNameWithPort(
    const std::string& server_name) {
    const uint16_t default_port = getDefaultHandshakePort();
    if (isValidIpV6(server_name)) return {server_name, default_port};
    const size_t bracket = server_name.find(']');
    if (!server_name.empty() && server_name.front() == '[' && bracket != std::string::npos) {
        std::string host = server_name.substr(1, bracket - 1);
        if (isValidIpV6(host)) {
            if (bracket + 1 == server_name.size()) return {std::move(host), default_port};
            if (server_name[bracket + 1] == ':') {
                return {std::move(host),
                        getPortFromString(std::string_view(server_name).substr(bracket + 2),
                                          default_port)};
            }
        }
    }
    const size_t colon = server_name.rfind(':');
    if (colon == std::string::npos) return {server_name, default_port};
    return {server_name.substr(0, colon),
            getPortFromString(std::string_view(server_name).substr(colon + 1), default_port)};
}

}  // namespace mooncake
