// SPDX-License-Identifier: Apache-2.0
#include "tcp_flows.h"

#include <arpa/inet.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string_view>

namespace mooncake::nvmeof_generic {
namespace {

// The kernel repeats after 0.2, 0.6 and 1.4 s at the earliest (TCP_RTO_MIN).
constexpr unsigned kRepeated = 3;

// An address as /proc/net/tcp and tcp6 show it: its words as numbers of this machine.
std::string shown(const std::string& traddr) {
    std::array<uint32_t, 4> words{};
    std::array<char, 33> text{};
    if (inet_pton(AF_INET, traddr.c_str(), words.data()) == 1) {
        snprintf(text.data(), text.size(), "%08" PRIX32, words[0]);
    } else if (inet_pton(AF_INET6, traddr.substr(0, traddr.find('%')).c_str(), words.data()) == 1) {
        snprintf(text.data(), text.size(), "%08" PRIX32 "%08" PRIX32 "%08" PRIX32 "%08" PRIX32,
                 words[0], words[1], words[2], words[3]);
    }
    return text.data();
}

struct Flow {
    unsigned state;           // as in the kernel's include/net/tcp_states.h
    unsigned unacknowledged;  // bytes; a FIN counts as one
    unsigned repeated;        // times in a row
};

/// Whether some flow to the address, from this source, is such a one; nothing: it cannot be read.
std::optional<bool> anyFlow(const std::string& traddr, const std::string& trsvcid,
                            const std::string& source, const std::string& procRoot,
                            bool (*isSuch)(const Flow&)) {
    const std::string address = shown(traddr);
    const std::string from = source.empty() ? "" : shown(source) + ":";
    unsigned port = 0;
    if (address.empty() || sscanf(trsvcid.c_str(), "%u", &port) != 1) return false;
    std::array<char, 6> shownPort{};
    snprintf(shownPort.data(), shownPort.size(), ":%04X", port & 0xffff);
    const std::string remote = address + shownPort.data();
    std::ifstream table(procRoot + (address.size() == 8 ? "/net/tcp" : "/net/tcp6"));
    if (!table.is_open()) return std::nullopt;
    for (std::string line; std::getline(table, line);) {
        std::array<char, 48> near{}, far{};
        Flow flow{};
        // sl, local, remote, st, tx_queue:rx_queue, tr:tm->when, retrnsmt
        if (sscanf(line.c_str(), " %*u: %47s %47s %x %x:%*x %*x:%*x %x", near.data(), far.data(),
                   &flow.state, &flow.unacknowledged, &flow.repeated) == 5 &&
            std::string_view(near.data()).starts_with(from) && far.data() == remote &&
            isSuch(flow)) {
            return true;
        }
    }
    // Also where a line found no memory.
    if (table.bad()) return std::nullopt;
    return false;
}

}  // namespace

bool waitsInVain(const std::string& traddr, const std::string& trsvcid, const std::string& source,
                 const std::string& procRoot) {
    const auto waits = anyFlow(traddr, trsvcid, source, procRoot, [](const Flow& flow) {
        return flow.unacknowledged > 0 && flow.repeated >= kRepeated;
    });
    return waits.value_or(false);
}

bool closesWithData(const std::string& traddr, const std::string& trsvcid,
                    const std::string& procRoot) {
    const auto found = anyFlow(traddr, trsvcid, "", procRoot, [](const Flow& flow) {
        constexpr unsigned kFinWait1 = 4, kLastAck = 9, kClosing = 11;
        const bool closes =
            flow.state == kFinWait1 || flow.state == kLastAck || flow.state == kClosing;
        return closes && flow.unacknowledged > 1;
    });
    return found.value_or(true);
}

}  // namespace mooncake::nvmeof_generic
