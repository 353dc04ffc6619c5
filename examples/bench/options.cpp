// SPDX-License-Identifier: Apache-2.0
#include "bench/options.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <sstream>
#include <string_view>
#include <utility>

#include "bench/block_pattern.h"

namespace mooncake::bench {
namespace {

constexpr uint64_t kMaxBatchSize = 1 << 20;
constexpr uint64_t kMaxThreads = 1024;
constexpr uint64_t kMaxBlockSize = uint64_t{1} << 40;
constexpr size_t kMostShapes = 1000;
constexpr int64_t kMaxDuration = 365LL * 24 * 3600;
constexpr int64_t kMaxPrecision = 9;

constexpr std::pair<std::string_view, Operation> kOperations[] = {
    {"read", Operation::kRead},
    {"write", Operation::kWrite},
    {"randread", Operation::kRandRead},
    {"randwrite", Operation::kRandWrite},
    {"rw", Operation::kRw},
    {"randrw", Operation::kRandRw},
};

Failure badFlag(const std::string& flag, const std::string& value, const std::string& allowed) {
    return {ExitCode::kUsage, "--" + flag + "=" + value + ": must be " + allowed};
}

MaybeFailure checkRange(const std::string& flag, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return std::nullopt;
    return badFlag(flag, std::to_string(value),
                   std::to_string(low) + " to " + std::to_string(high));
}

// The address becomes part of a string of blank-separated options: what is not an address must not
// pass.
bool isAddress(const std::string& text, int family) {
    unsigned char parsed[sizeof(in6_addr)];
    std::string address = text;
    if (family == AF_INET6) {
        const size_t percent = text.find('%');
        if (percent != std::string::npos) {
            const std::string scope = text.substr(percent + 1);
            if (if_nametoindex(scope.c_str()) == 0) return false;
            address = text.substr(0, percent);
        }
    }
    return text.find('\0') == std::string::npos && inet_pton(family, address.c_str(), parsed) == 1;
}

bool isPort(const std::string& text) {
    uint32_t port = 0;
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, port);
    return error == std::errc() && last == end && port >= 1 && port <= 65535;
}

std::vector<std::string> valuesOf(const std::string& list) {
    std::vector<std::string> values;
    for (size_t from = 0;;) {
        const size_t comma = std::min(list.find(',', from), list.size());
        values.push_back(list.substr(from, comma - from));
        if (comma == list.size()) return values;
        from = comma + 1;
    }
}

// Several addresses are lists, which the transport puts together.
MaybeFailure checkAddress(const FlagValues& flags, Options& options) {
    for (const std::string& type : valuesOf(flags.trtype)) {
        if (type != "tcp" && type != "rdma") return badFlag("trtype", flags.trtype, "tcp or rdma");
    }
    const auto families = valuesOf(flags.adrfam);
    for (const std::string& family : families) {
        if (family != "ipv4" && family != "ipv6") {
            return badFlag("adrfam", flags.adrfam, "ipv4 or ipv6");
        }
    }
    const auto addresses = valuesOf(flags.traddr);
    for (size_t i = 0; i < addresses.size(); ++i) {
        const std::string& family = families[i % families.size()];
        if (!isAddress(addresses[i], family == "ipv4" ? AF_INET : AF_INET6)) {
            return badFlag("traddr", flags.traddr,
                           "an address of family " + family + " in numbers (--adrfam)");
        }
    }
    for (const std::string& port : valuesOf(flags.trsvcid)) {
        if (!isPort(port)) return badFlag("trsvcid", flags.trsvcid, "a port, 1 to 65535");
    }
    options.targetAddress = "trtype=" + flags.trtype + " adrfam=" + flags.adrfam +
                            " traddr=" + flags.traddr + " trsvcid=" + flags.trsvcid;
    if (!flags.advertise.empty()) options.targetAddress += " advertise=" + flags.advertise;
    return std::nullopt;
}

MaybeFailure checkMode(const FlagValues& flags, Options& options) {
    if (flags.mode == "target") {
        options.mode = Mode::kTarget;
    } else if (flags.mode == "initiator") {
        options.mode = Mode::kInitiator;
    } else if (flags.mode == "loopback") {
        options.mode = Mode::kLoopback;
    } else {
        return badFlag("mode", flags.mode, "target, initiator or loopback");
    }
    if (flags.localAccess != "nvmeof" && flags.localAccess != "direct") {
        return badFlag("local_access", flags.localAccess, "nvmeof or direct");
    }
    options.localAccess = flags.localAccess;
    for (const auto& [name, operation] : kOperations) {
        if (flags.operation == name) options.operation = operation;
    }
    if (flags.operation != nameOf(options.operation)) {
        std::string names;
        for (const auto& [name, operation] : kOperations) {
            names += (names.empty() ? "" : ", ") + std::string(name);
        }
        return badFlag("operation", flags.operation, "one of " + names);
    }
    if (flags.outputFormat == "table") {
        options.format = OutputFormat::kTable;
    } else if (flags.outputFormat == "json") {
        options.format = OutputFormat::kJson;
    } else if (flags.outputFormat == "csv") {
        options.format = OutputFormat::kCsv;
    } else {
        return badFlag("output_format", flags.outputFormat, "table, json or csv");
    }
    return std::nullopt;
}

MaybeFailure checkNames(const FlagValues& flags, Options& options) {
    if (flags.metadataServer.empty()) {
        return badFlag("metadata_server", "", "given, such as http://127.0.0.1:8080/metadata");
    }
    options.metadataServer = flags.metadataServer;
    options.localServerName = flags.localServerName;
    if (options.localServerName.empty()) {
        char name[256] = {};
        if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') {
            return badFlag("local_server_name", "", "given: this machine has no host name");
        }
        options.localServerName = name;
    }
    options.segmentId = flags.segmentId;
    if (options.mode == Mode::kInitiator) {
        if (flags.segmentId.empty()) {
            return badFlag("segment_id", "",
                           "given with --mode=initiator: the target's --local_server_name");
        }
        if (flags.segmentId == options.localServerName) {
            return badFlag("segment_id", flags.segmentId,
                           "another name than the initiator's own (--local_server_name, by default "
                           "the host name)");
        }
    }
    std::istringstream words(flags.files);
    for (std::string path; words >> path;) options.files.push_back(path);
    if (options.mode != Mode::kInitiator && options.files.empty()) {
        return badFlag("files", flags.files,
                       "given with --mode=" + flags.mode +
                           ": paths of files or block devices, with blanks between them");
    }
    return std::nullopt;
}

// A number with an optional K, M or G, which multiply by powers of 1024.
bool parseNumber(std::string_view text, uint64_t& value) {
    unsigned shift = 0;
    if (!text.empty()) {
        const size_t unit = std::string_view("kmg").find(
            static_cast<char>(std::tolower(static_cast<unsigned char>(text.back()))));
        if (unit != std::string_view::npos) {
            shift = 10 * (static_cast<unsigned>(unit) + 1);
            text.remove_suffix(1);
        }
    }
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || last != end || value > (UINT64_MAX >> shift)) return false;
    value <<= shift;
    return true;
}

MaybeFailure checkList(const std::string& flag, const std::string& list, uint64_t low,
                       uint64_t high, std::vector<uint64_t>& values) {
    std::string_view rest = list;
    for (;;) {
        const size_t comma = std::min(rest.find(','), rest.size());
        uint64_t value = 0;
        if (!parseNumber(rest.substr(0, comma), value) || value < low || value > high) {
            return badFlag(flag, list,
                           std::to_string(low) + " to " + std::to_string(high) +
                               ", or several of these with commas between them; a K, M or G "
                               "behind a number multiplies it by powers of 1024");
        }
        values.push_back(value);
        if (comma == rest.size()) return std::nullopt;
        rest.remove_prefix(comma + 1);
    }
}

MaybeFailure checkShapes(const FlagValues& flags, Options& options) {
    std::vector<uint64_t> blockSizes, batchSizes, depths, threads;
    if (auto failure = checkList("block_size", flags.blockSize, 1, kMaxBlockSize, blockSizes)) {
        return failure;
    }
    if (auto failure = checkList("batch_size", flags.batchSize, 1, kMaxBatchSize, batchSizes)) {
        return failure;
    }
    if (auto failure = checkList("iodepth", flags.iodepth, 0, kMaxBatchSize, depths)) {
        return failure;
    }
    if (auto failure = checkList("threads", flags.threads, 1, kMaxThreads, threads)) {
        return failure;
    }
    if (auto failure = checkRange("iodepth_batch", flags.iodepthBatch, 1, kMaxBatchSize)) {
        return failure;
    }
    const auto together = static_cast<uint64_t>(flags.iodepthBatch);
    std::vector<std::pair<uint64_t, uint64_t>> queues;  // batch, window
    for (const uint64_t depth : depths) {
        if (depth == 0) {
            for (const uint64_t batch : batchSizes) queues.emplace_back(batch, 1);
        } else if (depth % together != 0) {
            return badFlag("iodepth", flags.iodepth,
                           "multiples of --iodepth_batch=" + std::to_string(together));
        } else {
            queues.emplace_back(together, depth / together);
        }
    }
    if (blockSizes.size() * queues.size() * threads.size() > kMostShapes) {
        return badFlag("block_size", flags.blockSize,
                       "a shorter list: all combinations of the lists together may be " +
                           std::to_string(kMostShapes) + " at most");
    }
    for (const uint64_t blockSize : blockSizes) {
        for (const auto& [batch, window] : queues) {
            for (const uint64_t count : threads) {
                // No sum of requests may overflow a size.
                const uint64_t largest =
                    static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / batch / window /
                    count;
                if (blockSize > largest) {
                    return badFlag("block_size", std::to_string(blockSize),
                                   "1 to " + std::to_string(largest) +
                                       " bytes (with this --batch_size or --iodepth and "
                                       "--threads)");
                }
                options.shapes.push_back({blockSize, batch, window, count});
            }
        }
    }
    return std::nullopt;
}

MaybeFailure checkWork(const FlagValues& flags, Options& options) {
    if (auto failure = checkShapes(flags, options)) return failure;
    if (auto failure = checkRange("duration", flags.duration, 1, kMaxDuration)) return failure;
    if (auto failure = checkRange("ramp_time", flags.rampTime, 0, kMaxDuration)) return failure;
    if (auto failure = checkRange("rwmixread", flags.rwmixread, 0, 100)) return failure;
    if (auto failure = checkRange("report_precision", flags.reportPrecision, 0, kMaxPrecision)) {
        return failure;
    }
    options.durationSeconds = static_cast<uint64_t>(flags.duration);
    options.rampSeconds = static_cast<uint64_t>(flags.rampTime);
    options.readPercent = static_cast<unsigned>(flags.rwmixread);
    options.reportPrecision = static_cast<unsigned>(flags.reportPrecision);
    options.verify = flags.verify;
    options.verifySeed = flags.verifySeed;
    for (const RunShape& shape : options.shapes) {
        if (flags.verify && shape.blockSize % kPatternBlock != 0) {
            return badFlag("block_size", std::to_string(shape.blockSize),
                           "a multiple of " + std::to_string(kPatternBlock) + " with --verify");
        }
    }
    const auto unit = findReportUnit(flags.reportUnit);
    if (!unit) return badFlag("report_unit", flags.reportUnit, "one of " + reportUnitNames());
    options.reportUnit = *unit;
    return std::nullopt;
}

}  // namespace

MaybeFailure checkFlags(const FlagValues& flags, Options& options) {
    Options checked{};
    if (auto failure = checkMode(flags, checked)) return failure;
    if (auto failure = checkNames(flags, checked)) return failure;
    if (auto failure = checkWork(flags, checked)) return failure;
    if (auto failure = checkAddress(flags, checked)) return failure;
    options = checked;
    return std::nullopt;
}

std::string_view nameOf(Operation operation) {
    for (const auto& [name, candidate] : kOperations) {
        if (candidate == operation) return name;
    }
    return "";
}

MaybeFailure checkFileSize(const RunShape& shape, const std::string& file, uint64_t size) {
    const std::string name = "file '" + file + "' of " + std::to_string(size) + " bytes";
    if (shape.blockSize > size) {
        return badFlag("block_size", std::to_string(shape.blockSize),
                       "at most the size of the smallest file; " + name + " is smaller");
    }
    const uint64_t blocks = size / shape.blockSize;
    if (shape.threads > blocks) {
        return badFlag("threads", std::to_string(shape.threads),
                       "at most the number of blocks (--block_size) of the smallest file; " + name +
                           " has " + std::to_string(blocks));
    }
    return std::nullopt;
}

}  // namespace mooncake::bench
