// SPDX-License-Identifier: Apache-2.0
#include "connection_count.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace mooncake::nvmeof_generic {
namespace {

constexpr unsigned kEstablished = 1;  // TCP_ESTABLISHED in include/net/tcp_states.h

// As /proc/net/tcp and tcp6 write an address (proc(5)): each 32 bits of it as a number of this
// machine, in hexadecimal digits.
std::string procForm(int family, const std::string& traddr) {
    std::array<uint32_t, 4> words{};
    if (inet_pton(family, traddr.substr(0, traddr.find('%')).c_str(), words.data()) != 1) return "";
    std::string text;
    for (size_t i = 0; i < (family == AF_INET ? 1 : words.size()); ++i) {
        char digits[9];
        snprintf(digits, sizeof(digits), "%08X", words[i]);
        text += digits;
    }
    return text;
}

}  // namespace

std::optional<uint64_t> countTcpConnections(const TransportAddress& address,
                                            const std::string& procRoot) {
    if (address.trtype != "tcp") return std::nullopt;
    const bool ipv4 = address.adrfam == "ipv4";
    const std::string wanted = procForm(ipv4 ? AF_INET : AF_INET6, address.traddr);
    if (wanted.empty()) return std::nullopt;
    const bool any = wanted.find_first_not_of('0') == std::string::npos;
    unsigned port = 0;
    std::from_chars(address.trsvcid.data(), address.trsvcid.data() + address.trsvcid.size(), port);
    std::ifstream table(procRoot + (ipv4 ? "/self/net/tcp" : "/self/net/tcp6"));
    if (!table) return std::nullopt;
    uint64_t count = 0;
    for (std::string line; std::getline(table, line);) {
        char local[33];
        unsigned localPort, state;
        if (sscanf(line.c_str(), "%*s %32[0-9A-F]:%x %*s %x", local, &localPort, &state) != 3) {
            continue;
        }
        if (state == kEstablished && localPort == port && (any || local == wanted)) ++count;
    }
    return count;
}

std::optional<std::map<std::string, uint64_t>> countControllers(const std::string& subsystemNqn,
                                                                const std::string& sysRoot) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::directory_iterator it(sysRoot + "/kernel/debug/nvmet/" + subsystemNqn, error), end;
    if (error) return std::nullopt;
    std::map<std::string, uint64_t> hosts;
    for (; !error && it != end; it.increment(error)) {
        if (!it->path().filename().string().starts_with("ctrl")) continue;
        std::string host;
        std::ifstream file(it->path() / "hostnqn");
        if (std::getline(file, host)) ++hosts[host];
    }
    return hosts;
}

}  // namespace mooncake::nvmeof_generic
