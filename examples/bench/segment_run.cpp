// SPDX-License-Identifier: Apache-2.0
#include "bench/segment_run.h"

#include <cstdio>
#include <random>

#include "bench/figures_report.h"
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
        for (const RunShape& shape : options.shapes) {
            if (auto failure = checkFileSize(shape, file.path, file.size)) return failure;
        }
        spec.files.push_back({file.id, file.path, file.size});
    }
    return std::nullopt;
}

void applyShape(const RunShape& shape, WorkloadSpec& spec) {
    spec.blockSize = shape.blockSize;
    spec.batchSize = shape.batchSize;
    spec.window = shape.window;
    spec.threads = shape.threads;
    spec.run = randomRun();
}

// Runs every shape, and prints what each has measured. Ends at the first that fails.
MaybeFailure runWorkloads(Node& node, const std::string& segmentName, const Options& options,
                          SignalWatch& signals) {
    TransferEngine& engine = node.engine();
    WorkloadSpec spec;
    spec.operation = options.operation;
    spec.readPercent = options.readPercent;
    spec.duration = std::chrono::seconds(options.durationSeconds);
    spec.rampTime = std::chrono::seconds(options.rampSeconds);
    spec.verify = options.verify;
    spec.seed = options.verifySeed;
    if (auto failure = openFiles(engine, segmentName, options, spec)) return failure;

    EngineApi api(engine);
    FiguresReport report(options, spec.files);
    MaybeFailure failure;
    for (const RunShape& shape : options.shapes) {
        applyShape(shape, spec);
        RunResult run;
        RunMonitor monitor(options, signals);
        {
            std::unique_ptr<Workload> workload;
            if ((failure = Workload::create(api, spec, workload))) break;
            const auto paths = api.pathStats(spec.segment);
            run = workload->run([&monitor](Workload& running, Phase phase, int doneFd) {
                monitor.watch(running, phase, doneFd);
            });
            run.paths = pathTraffic(paths, api.pathStats(spec.segment));
        }
        std::fputs(report.add(run).c_str(), stdout);
        std::fflush(stdout);
        failure = judge(run, options);
        if (failure || monitor.stopped()) break;
    }
    std::fputs(report.end().c_str(), stdout);
    std::fflush(stdout);
    engine.closeSegment(spec.segment);
    return failure;
}

}  // namespace

MaybeFailure runOnSegment(Node& node, const std::string& segmentName, const Options& options,
                          SignalWatch& signals) {
    MaybeFailure failure = runWorkloads(node, segmentName, options, signals);
    if (failure && failure->code == ExitCode::kIoError) limitShutdown(*failure, kShutdownLimit);
    return failure;
}

}  // namespace mooncake::bench
