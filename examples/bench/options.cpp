// SPDX-License-Identifier: Apache-2.0
#include "bench/options.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <unistd.h>

#include <charconv>
#include <limits>
#include <sstream>

#include "bench/block_pattern.h"

namespace mooncake::bench {
namespace {

constexpr int64_t kMaxBatchSize = 1 << 20;
constexpr int64_t kMaxThreads = 1024;
constexpr int64_t kMaxDuration = 365LL * 24 * 3600;
constexpr int64_t kMaxPrecision = 9;

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

MaybeFailure checkAddress(const FlagValues& flags, Options& options) {
    if (flags.trtype != "tcp" && flags.trtype != "rdma") {
        return badFlag("trtype", flags.trtype, "tcp or rdma");
    }
    if (flags.adrfam != "ipv4" && flags.adrfam != "ipv6") {
        return badFlag("adrfam", flags.adrfam, "ipv4 or ipv6");
    }
    if (!isAddress(flags.traddr, flags.adrfam == "ipv4" ? AF_INET : AF_INET6)) {
        return badFlag("traddr", flags.traddr,
                       "an address of family " + flags.adrfam + " in numbers (--adrfam)");
    }
    uint32_t port = 0;
    const char* end = flags.trsvcid.data() + flags.trsvcid.size();
    const auto [last, error] = std::from_chars(flags.trsvcid.data(), end, port);
    if (error != std::errc() || last != end || port < 1 || port > 65535) {
        return badFlag("trsvcid", flags.trsvcid, "a port, 1 to 65535");
    }
    options.targetAddress = "trtype=" + flags.trtype + " adrfam=" + flags.adrfam +
                            " traddr=" + flags.traddr + " trsvcid=" + std::to_string(port);
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
    if (flags.operation == "read") {
        options.operation = Operation::kRead;
    } else if (flags.operation == "write") {
        options.operation = Operation::kWrite;
    } else {
        return badFlag("operation", flags.operation, "read or write");
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

MaybeFailure checkWork(const FlagValues& flags, Options& options) {
    if (auto failure = checkRange("batch_size", flags.batchSize, 1, kMaxBatchSize)) return failure;
    if (auto failure = checkRange("duration", flags.duration, 1, kMaxDuration)) return failure;
    if (auto failure = checkRange("threads", flags.threads, 1, kMaxThreads)) return failure;
    if (auto failure = checkRange("report_precision", flags.reportPrecision, 0, kMaxPrecision)) {
        return failure;
    }
    options.batchSize = static_cast<uint64_t>(flags.batchSize);
    options.blockSize = flags.blockSize;
    options.durationSeconds = static_cast<uint64_t>(flags.duration);
    options.threads = static_cast<uint64_t>(flags.threads);
    options.reportPrecision = static_cast<unsigned>(flags.reportPrecision);

    const std::string blockSize = std::to_string(flags.blockSize);
    // No request and no sum of requests may overflow a size or an offset.
    const uint64_t largest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) /
                             (options.batchSize * options.threads);
    if (flags.blockSize == 0 || flags.blockSize > largest) {
        return badFlag("block_size", blockSize,
                       "1 to " + std::to_string(largest) +
                           " bytes (with this --batch_size and "
                           "--threads)");
    }
    options.verify = flags.verify;
    options.verifySeed = flags.verifySeed;
    if (flags.verify && flags.blockSize % kPatternBlock != 0) {
        return badFlag("block_size", blockSize,
                       "a multiple of " + std::to_string(kPatternBlock) + " with --verify");
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

MaybeFailure checkFileSize(const Options& options, const std::string& file, uint64_t size) {
    const std::string name = "file '" + file + "' of " + std::to_string(size) + " bytes";
    if (options.blockSize > size) {
        return badFlag("block_size", std::to_string(options.blockSize),
                       "at most the size of the smallest file; " + name + " is smaller");
    }
    const uint64_t blocks = size / options.blockSize;
    if (options.threads > blocks) {
        return badFlag("threads", std::to_string(options.threads),
                       "at most the number of blocks (--block_size) of the smallest file; " + name +
                           " has " + std::to_string(blocks));
    }
    return std::nullopt;
}

}  // namespace mooncake::bench
