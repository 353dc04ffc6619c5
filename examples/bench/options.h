// SPDX-License-Identifier: Apache-2.0
// What the bench is asked to do, checked before anything starts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/failure.h"
#include "bench/report_unit.h"

namespace mooncake::bench {

enum class Mode { kTarget, kInitiator, kLoopback };
enum class Operation { kRead, kWrite, kRandRead, kRandWrite, kRw, kRandRw };
enum class OutputFormat { kTable, kJson, kCsv };

constexpr bool isRandom(Operation operation) {
    return operation == Operation::kRandRead || operation == Operation::kRandWrite ||
           operation == Operation::kRandRw;
}
/// Reads and writes.
constexpr bool isMixed(Operation operation) {
    return operation == Operation::kRw || operation == Operation::kRandRw;
}
constexpr bool writes(Operation operation) {
    return operation != Operation::kRead && operation != Operation::kRandRead;
}
/// As it stands in --operation.
std::string_view nameOf(Operation operation);

/// The flags as given, with the defaults that users know. docs and --help describe each.
struct FlagValues {
    std::string localServerName;
    std::string metadataServer;
    std::string mode = "initiator";
    std::string operation = "read";
    std::string segmentId;
    int64_t rwmixread = 50;
    std::string batchSize = "4096";
    std::string blockSize = "65536";
    std::string iodepth = "0";
    int64_t iodepthBatch = 1;
    int64_t duration = 30;
    int64_t rampTime = 0;
    std::string threads = "1";
    std::string outputFormat = "table";
    std::string reportUnit = "GB";
    int64_t reportPrecision = 2;
    std::string trtype = "tcp";
    std::string adrfam = "ipv4";
    std::string traddr = "127.0.0.1";
    std::string trsvcid = "4420";
    std::string advertise;
    std::string files;
    std::string localAccess = "nvmeof";
    bool verify = false;
    uint64_t verifySeed = 1;
};

/// One row of the report: the flags that may be lists.
struct RunShape {
    uint64_t blockSize = 0;  ///< bytes
    uint64_t batchSize = 1;  ///< requests submitted together
    uint64_t window = 1;     ///< batches under way together in each thread
    uint64_t threads = 1;
};

/// Flags that passed every check that needs no file and no network.
struct Options {
    std::string localServerName;  ///< never empty
    std::string metadataServer;
    Mode mode;
    Operation operation;
    std::string segmentId;
    unsigned readPercent;          ///< of a mixed operation
    std::vector<RunShape> shapes;  ///< at least one; run one after the other
    uint64_t durationSeconds;
    uint64_t rampSeconds;
    OutputFormat format;
    ReportUnit reportUnit{};
    unsigned reportPrecision;   ///< digits
    std::string targetAddress;  ///< "trtype=... adrfam=... traddr=... trsvcid=..."
    std::vector<std::string> files;
    std::string localAccess;  ///< "nvmeof" or "direct"
    bool verify;
    uint64_t verifySeed;
};

/// Checks every flag that matters in the chosen mode.
/// @param options  filled when nothing is wrong
/// @return ExitCode::kUsage with the flag, its value and what is allowed
MaybeFailure checkFlags(const FlagValues& flags, Options& options);

/// Whether blocks and threads fit a file: every thread needs at least one block of every file.
/// @param file  its name, for the message; @param size  bytes
/// @return ExitCode::kUsage when they do not
MaybeFailure checkFileSize(const RunShape& shape, const std::string& file, uint64_t size);

}  // namespace mooncake::bench
