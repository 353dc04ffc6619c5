// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <string>
#include <string_view>

#include "access_options.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr std::string_view kPrefix = "MC_NVMEOF_GENERIC_";

// Takes a value, or says what would have been right.
using Reader = std::function<Result<>(std::string_view value)>;

Error expected(const std::string& what) {
    return {EINVAL, what};
}

// A decimal number without sign, within limits, handed to `store`.
Reader number(uint64_t least, uint64_t most, std::function<void(uint64_t)> store) {
    return [=](std::string_view value) -> Result<> {
        uint64_t parsed = 0;
        const auto [end, error] =
            std::from_chars(value.data(), value.data() + value.size(), parsed);
        if (error != std::errc() || end != value.data() + value.size() || parsed < least ||
            parsed > most) {
            return expected("a number from " + std::to_string(least) + " to " +
                            std::to_string(most));
        }
        store(parsed);
        return {};
    };
}

Reader seconds(uint64_t most, std::chrono::seconds& target) {
    return number(1, most, [&target](uint64_t value) { target = std::chrono::seconds(value); });
}

template <class T>
Reader choice(std::map<std::string_view, T> words, T& target) {
    return [=, &target](std::string_view value) -> Result<> {
        const auto found = words.find(value);
        if (found != words.end()) {
            target = found->second;
            return {};
        }
        std::string all;
        for (const auto& [word, unused] : words)
            all += (all.empty() ? "" : ", ") + std::string(word);
        return expected("one of: " + all);
    };
}

Reader ioSize(size_t& target) {
    return [&target, inRange = number(4096, 16 << 20, [&target](uint64_t value) {
                         target = value;
                     })](std::string_view value) -> Result<> {
        if (inRange(value).ok() && (target & (target - 1)) == 0) return {};
        return expected("a power of two from 4096 to 16777216 (bytes)");
    };
}

Reader nqn(std::string& target) {
    return [&target](std::string_view value) -> Result<> {
        target = value;
        return checkNqn(value);
    };
}

Reader nqnList(std::vector<std::string>& target) {
    return [&target](std::string_view value) { return takeHostList(value, target); };
}

Reader path(std::string& target) {
    return [&target](std::string_view value) { return takePath(value, target); };
}

Reader networks(NetworkList& target) {
    return [&target](std::string_view value) -> Result<> {
        auto parsed = NetworkList::parse(value);
        if (!parsed.ok()) return parsed.error();
        target = parsed.take();
        return {};
    };
}

Reader absolutePath(std::string& target) {
    return [&target](std::string_view value) -> Result<> {
        if (value.size() < 2 || value.front() != '/' || value.back() == '/') {
            return expected("the absolute path of a file");
        }
        target = value;
        return {};
    };
}

Reader label(std::string& target) {
    return [&target](std::string_view value) -> Result<> {
        const bool plain = std::all_of(value.begin(), value.end(), [](char c) {
            return c > ' ' && c <= '~' && c != '"' && c != '\\';
        });
        if (value.empty() || value.size() > 128 || !plain) {
            return expected("1 to 128 printable ASCII characters without blank, quote, backslash");
        }
        target = value;
        return {};
    };
}

std::map<std::string_view, Reader> readers(TransportOptions& options) {
    IoOptions& io = options.io;
    InitiatorOptions& initiator = options.initiator;
    return {
        {"DIRECT_IO",
         choice<DirectIo>(
             {{"on", DirectIo::kOn}, {"off", DirectIo::kOff}, {"auto", DirectIo::kAuto}},
             io.directIo)},
        {"NUM_WORKERS",
         number(1, 256, [&io](uint64_t n) { io.numWorkers = static_cast<uint32_t>(n); })},
        {"QUEUE_DEPTH",
         number(1, 1024, [&io](uint64_t n) { io.queueDepth = static_cast<uint32_t>(n); })},
        {"MAX_IO_SIZE", ioSize(io.maxIoBytes)},
        {"SPIN_US", number(0, 1000, [&io](uint64_t n) { io.spin = std::chrono::microseconds(n); })},
        {"BOUNCE_MIB", number(1, 65536, [&io](uint64_t n) { io.bounceBytes = n << 20; })},
        {"DURABLE_WRITES", choice<bool>({{"on", true}, {"off", false}}, io.durableWrites)},
        {"CONNECT_TIMEOUT", seconds(600, initiator.connectTimeout)},
        {"KEEP_ALIVE", seconds(3600, initiator.keepAlive)},
        {"RECONNECT_DELAY", seconds(3600, initiator.reconnectDelay)},
        {"FAST_IO_FAIL", seconds(3600, initiator.fastIoFail)},
        {"CTRL_LOSS", seconds(86400, initiator.controllerLoss)},
        {"IO_TIMEOUT", seconds(86400, initiator.ioTimeout)},
        {"IO_QUEUES",
         number(0, 1024,
                [&initiator](uint64_t n) { initiator.ioQueues = static_cast<uint32_t>(n); })},
        {"IO_QUEUE_SIZE",
         number(16, 1024,
                [&initiator](uint64_t n) { initiator.queueDepth = static_cast<uint32_t>(n); })},
        {"HOST_INTERFACES",
         [&initiator](std::string_view value) -> Result<> {
             auto sides = parseHostSides(value);
             if (!sides.ok()) return sides.error();
             initiator.hostInterfaces = sides.take();
             return {};
         }},
        {"PATHS", choice<bool>({{"all", true}, {"one", false}}, initiator.allPaths)},
        {"IO_POLICY", choice<IoPolicy>({{"auto", IoPolicy::kAuto},
                                        {"queue-depth", IoPolicy::kQueueDepth},
                                        {"round-robin", IoPolicy::kRoundRobin},
                                        {"numa", IoPolicy::kNuma}},
                                       initiator.ioPolicy)},
        {"HOST_NQN", nqn(initiator.hostNqn)},
        {"ALLOWED_HOSTS", nqnList(options.target.allowedHosts)},
        {"ALLOWED_HOSTS_FILE", path(options.target.allowedHostsFile)},
        {"DHCHAP_KEYS", path(options.target.dhchapKeys)},
        {"DHCHAP_KEY_FILE", path(initiator.keyFile)},
        {"EXPORT_BUSY_DEVICES",
         choice<bool>({{"on", true}, {"off", false}}, options.target.exportBusyDevices)},
        {"PATH_CHECK",
         [&options](std::string_view value) {
             auto taken = takePathCheck(value, options.target.pathCheck);
             options.initiator.pathCheck = options.target.pathCheck;
             return taken;
         }},
        {"ALLOWED_NETWORKS", networks(options.allowedNetworks)},
        {"LOCAL_ACCESS", choice<bool>({{"direct", true}, {"nvmeof", false}}, options.localAccess)},
        {"UNALIGNED_WRITES",
         choice<bool>({{"allow", false}, {"refuse", true}}, options.refuseUnalignedWrites)},
        {"STATS_FILE", absolutePath(options.statsFile)},
        {"STATS_INTERVAL", seconds(3600, options.statsInterval)},
        {"STATS_LABEL", label(options.statsLabel)},
    };
}

Error malformed(const std::string& name, std::string_view value, const std::string& cause) {
    return makeError(EINVAL, "environment variable " + name + "=" + inQuotes(value),
                     "expected " + cause);
}

}  // namespace

Result<TransportOptions> readEnvironment(const char* const* environment) {
    TransportOptions options;
    options.statsLabel = program_invocation_short_name;
    const auto known = readers(options);
    for (; *environment != nullptr; ++environment) {
        const std::string_view entry = *environment;
        if (!entry.starts_with(kPrefix)) continue;
        const size_t equals = entry.find('=');
        const std::string name(entry.substr(0, equals));
        const auto reader = known.find(std::string_view(name).substr(kPrefix.size()));
        if (equals == std::string_view::npos || reader == known.end()) {
            std::string names;
            for (const auto& [suffix, unused] : known) {
                names += (names.empty() ? "" : ", ") + std::string(suffix);
            }
            return makeError(EINVAL, "environment variable " + inQuotes(name) + " is not known",
                             "behind " + std::string(kPrefix) + " there may stand: " + names);
        }
        const std::string_view value = entry.substr(equals + 1);
        if (Result<> read = reader->second(value); !read.ok()) {
            return malformed(name, value, read.error().message);
        }
    }
    if (options.initiator.controllerLoss < options.initiator.fastIoFail) {
        return malformed(std::string(kPrefix) + "CTRL_LOSS",
                         std::to_string(options.initiator.controllerLoss.count()),
                         "at least FAST_IO_FAIL, which is " +
                             std::to_string(options.initiator.fastIoFail.count()) + " s");
    }
    return options;
}

}  // namespace mooncake::nvmeof_generic
