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
DEFINE_string(operation, "read",
              "read, write, randread, randwrite, rw (both, in order) or randrw. A write DESTROYS "
              "what is in the files");
DEFINE_int32(rwmixread, 50, "Percent of reads, with --operation=rw or randrw");
DEFINE_string(segment_id, "", "Initiator: the target's --local_server_name");
DEFINE_string(batch_size, "4096",
              "Requests in a batch; the next one follows when all of it have ended");
DEFINE_string(block_size, "65536", "Bytes in a request");
DEFINE_string(iodepth, "0",
              "Instead of batches one after the other: requests that each thread keeps under way, "
              "each replaced as soon as it has ended. 0: --batch_size counts");
DEFINE_int32(iodepth_batch, 1, "Requests that are submitted and awaited together, with --iodepth");
DEFINE_int32(duration, 30, "Seconds to run and measure");
DEFINE_int32(ramp_time, 0, "Seconds to run before that");
DEFINE_string(threads, "1",
              "Threads, each with batches of its own on its own part of every file. Lists with "
              "commas in --block_size, --batch_size, --iodepth and --threads give a run and a row "
              "of the report for each combination");
DEFINE_string(output_format, "table", "table, json (fio's names where they mean the same) or csv");
DEFINE_string(report_unit, "GB",
              "Unit of throughput: GB|GiB|Gb|MB|MiB|Mb|KB|KiB|Kb (B bytes, b bits, i 1024)");
DEFINE_uint32(report_precision, 2, "Digits after the point in the report");
DEFINE_string(trtype, "tcp", "Target: tcp or rdma");
DEFINE_string(adrfam, "ipv4", "Target: ipv4 or ipv6");
DEFINE_string(traddr, "127.0.0.1",
              "Target: address to listen on, one of this machine; several with commas make several "
              "paths, and the flags beside it may be lists, too");
DEFINE_string(trsvcid, "4420", "Target: port to listen on");
DEFINE_string(
    advertise, "",
    "Target: address[:port] that others use, where it is not traddr and trsvcid; IPv6 with a "
    "port in brackets");
DEFINE_string(files, "", "Target: files and block devices to register, blanks between them");
DEFINE_string(local_access, "nvmeof",
              "Loopback: nvmeof measures what a remote node would see; direct opens the files "
              "themselves (MC_NVMEOF_GENERIC_LOCAL_ACCESS)");
DEFINE_bool(verify, false,
            "Write blocks that say where they belong, read everything back and check it; with "
            "--operation=read check blocks written that way before");
DEFINE_uint64(verify_seed, 1, "Written into each block and expected there, with --verify");

namespace mooncake::bench {

MaybeFailure parseCommandLine(int& argc, char**& argv, FlagValues& values) {
    gflags::SetVersionString(PROGRAM_VERSION);
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
    values.rwmixread = FLAGS_rwmixread;
    values.batchSize = FLAGS_batch_size;
    values.blockSize = FLAGS_block_size;
    values.iodepth = FLAGS_iodepth;
    values.iodepthBatch = FLAGS_iodepth_batch;
    values.duration = FLAGS_duration;
    values.rampTime = FLAGS_ramp_time;
    values.threads = FLAGS_threads;
    values.outputFormat = FLAGS_output_format;
    values.reportUnit = FLAGS_report_unit;
    values.reportPrecision = FLAGS_report_precision;
    values.trtype = FLAGS_trtype;
    values.adrfam = FLAGS_adrfam;
    values.traddr = FLAGS_traddr;
    values.trsvcid = FLAGS_trsvcid;
    values.advertise = FLAGS_advertise;
    values.files = FLAGS_files;
    values.localAccess = FLAGS_local_access;
    values.verify = FLAGS_verify;
    values.verifySeed = FLAGS_verify_seed;
    return std::nullopt;
}

}  // namespace mooncake::bench
