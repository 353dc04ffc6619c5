// SPDX-License-Identifier: Apache-2.0
#include "bench/flags.h"

#include <gflags/gflags.h>

#include <cstdlib>

DECLARE_bool(help);
DECLARE_bool(helpshort);

DEFINE_string(local_server_name, "", "Name of this node's segment (default: the host name)");
DEFINE_string(metadata_server, "", "Metadata server, such as http://127.0.0.1:8080/metadata");
DEFINE_string(mode, "initiator",
              "target: register --files and serve them until SIGINT or SIGTERM; initiator: run "
              "--operation on the files of --segment_id; loopback: both in one process");
DEFINE_string(operation, "read", "read or write. A write DESTROYS what is in the files");
DEFINE_string(segment_id, "", "Initiator: the target's --local_server_name");
DEFINE_int32(batch_size, 4096, "Requests in a batch");
DEFINE_uint64(block_size, 65536, "Bytes in a request");
DEFINE_int32(duration, 30, "Seconds to run");
DEFINE_int32(threads, 1, "Threads, each with batches of its own on its own part of every file");
DEFINE_string(report_unit, "GB",
              "Unit of throughput: GB|GiB|Gb|MB|MiB|Mb|KB|KiB|Kb (B bytes, b bits, i 1024)");
DEFINE_uint32(report_precision, 2, "Digits after the point in the report");
DEFINE_string(trtype, "tcp", "Target: tcp or rdma");
DEFINE_string(adrfam, "ipv4", "Target: ipv4 or ipv6");
DEFINE_string(traddr, "127.0.0.1", "Target: address to listen on, one of this machine");
DEFINE_string(trsvcid, "4420", "Target: port to listen on");
DEFINE_string(files, "", "Target: files and block devices to register, blanks between them");
DEFINE_bool(verify, false,
            "Write blocks that say where they belong, read everything back and check it; with "
            "--operation=read check blocks written that way before");
DEFINE_uint64(verify_seed, 1, "Written into each block and expected there, with --verify");

namespace mooncake::bench {

MaybeFailure parseCommandLine(int& argc, char**& argv, FlagValues& values) {
    gflags::SetUsageMessage("throughput of file segments over NVMe-oF");
    gflags::ParseCommandLineNonHelpFlags(&argc, &argv, true);
    if (FLAGS_help || FLAGS_helpshort) {
        gflags::ShowUsageWithFlagsRestrict(argv[0], "bench/flags.cpp");
        std::exit(static_cast<int>(ExitCode::kOk));
    }
    gflags::HandleCommandLineHelpFlags();
    if (argc > 1) {
        return Failure{ExitCode::kUsage, std::string("'") + argv[1] +
                                             "' is not a flag; put several files in quotes: "
                                             "--files=\"a b\""};
    }
    values.localServerName = FLAGS_local_server_name;
    values.metadataServer = FLAGS_metadata_server;
    values.mode = FLAGS_mode;
    values.operation = FLAGS_operation;
    values.segmentId = FLAGS_segment_id;
    values.batchSize = FLAGS_batch_size;
    values.blockSize = FLAGS_block_size;
    values.duration = FLAGS_duration;
    values.threads = FLAGS_threads;
    values.reportUnit = FLAGS_report_unit;
    values.reportPrecision = FLAGS_report_precision;
    values.trtype = FLAGS_trtype;
    values.adrfam = FLAGS_adrfam;
    values.traddr = FLAGS_traddr;
    values.trsvcid = FLAGS_trsvcid;
    values.files = FLAGS_files;
    values.verify = FLAGS_verify;
    values.verifySeed = FLAGS_verify_seed;
    return std::nullopt;
}

}  // namespace mooncake::bench
