// SPDX-License-Identifier: Apache-2.0
#include "bench/segment_run.h"

#include <cstdio>
#include <random>

#include "bench/report.h"
#include "bench/run_monitor.h"
#include "bench/shutdown_limit.h"
#include "bench/transfer_api.h"
#include "bench/workload.h"

namespace mooncake::bench {
namespace {

// Longer than an engine needs to drain what its own timeouts will end.
constexpr std::chrono::seconds kShutdownLimit{60};

uint64_t randomRun() {
    std::random_device source;
    return (uint64_t{source()} << 32) | source();
}

// Fills spec.segment and spec.files from the segment's descriptor.
MaybeFailure openFiles(TransferEngine& engine, const std::string& name, const Options& options,
                       WorkloadSpec& spec) {
    spec.segment = engine.openSegment(name);
    const bool opened = static_cast<int64_t>(spec.segment) >= 0;  // else an error number
    const auto segment = opened ? engine.getMetadata()->getSegmentDescByID(spec.segment) : nullptr;
    if (!segment) {
        return Failure{ExitCode::kIoError, "cannot open segment '" + name +
                                               "': is its target running, with "
                                               "--local_server_name=" +
                                               name + " and this metadata server?"};
    }
    if (segment->file_buffers.empty()) {
        return Failure{ExitCode::kIoError, "segment '" + name + "' (protocol '" +
                                               segment->protocol + "') has no files"};
    }
    for (const auto& file : segment->file_buffers) {
        if (auto failure = checkFileSize(options, file.path, file.size)) return failure;
        spec.files.push_back({file.id, file.path, file.size});
    }
    return std::nullopt;
}

MaybeFailure runWorkload(Node& node, const std::string& segmentName, const Options& options,
                         SignalWatch& signals) {
    TransferEngine& engine = node.engine();
    WorkloadSpec spec;
    spec.operation = options.operation;
    spec.batchSize = options.batchSize;
    spec.blockSize = options.blockSize;
    spec.threads = options.threads;
    spec.duration = std::chrono::seconds(options.durationSeconds);
    spec.verify = options.verify;
    spec.seed = options.verifySeed;
    spec.run = randomRun();
    if (auto failure = openFiles(engine, segmentName, options, spec)) return failure;

    EngineApi api(engine);
    RunResult run;
    {
        std::unique_ptr<Workload> workload;
        if (auto failure = Workload::create(api, spec, workload)) return failure;
        RunMonitor monitor(options, signals);
        run = workload->run([&monitor](Workload& running, Phase phase, int doneFd) {
            monitor.watch(running, phase, doneFd);
        });
    }
    std::puts(summaryLine(run, options).c_str());
    if (const std::string line = verifyLine(run, options); !line.empty()) std::puts(line.c_str());
    std::fflush(stdout);
    engine.closeSegment(spec.segment);
    return judge(run, options);
}

}  // namespace

MaybeFailure runOnSegment(Node& node, const std::string& segmentName, const Options& options,
                          SignalWatch& signals) {
    MaybeFailure failure = runWorkload(node, segmentName, options, signals);
    if (failure && failure->code == ExitCode::kIoError) limitShutdown(*failure, kShutdownLimit);
    return failure;
}

}  // namespace mooncake::bench
