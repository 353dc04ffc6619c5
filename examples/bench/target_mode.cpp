// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include "bench/modes.h"
#include "bench/node.h"
#include "bench/registered_files.h"
#include "bench/segment_run.h"

namespace mooncake::bench {
namespace {

// One line, complete once it is there: other programs wait for it.
MaybeFailure announce(Node& node) {
    const auto segment = node.engine().getMetadata()->getSegmentDescByID(LOCAL_SEGMENT_ID);
    if (!segment) {
        return Failure{ExitCode::kIoError, "the engine has no descriptor of its own segment"};
    }
    std::string line = "target ready: segment " + node.segmentName();
    for (const auto& file : segment->file_buffers) {
        line += ", file " + std::to_string(file.id) + " " + file.path + " " +
                std::to_string(file.size) + " bytes";
    }
    // Who waits for the line would wait for ever.
    if (std::puts(line.c_str()) < 0 || std::fflush(stdout) != 0) {
        return Failure{ExitCode::kIoError, "cannot write to standard output"};
    }
    return std::nullopt;
}

// What the local files say before anything is set up.
MaybeFailure checkFiles(const Options& options, std::vector<LocalFile>& files) {
    if (auto failure = inspectFiles(options.files, files)) return failure;
    for (const LocalFile& file : files) {
        for (const RunShape& shape : options.shapes) {
            if (auto failure = checkFileSize(shape, file.path, file.size)) return failure;
        }
    }
    return std::nullopt;
}

}  // namespace

MaybeFailure runTarget(const Options& options, SignalWatch& signals) {
    std::vector<LocalFile> files;
    if (auto failure = checkFiles(options, files)) return failure;
    std::unique_ptr<Node> node;
    if (auto failure = Node::start(options, Role::kTarget, node)) return failure;
    RegisteredFiles registered(node->engine());
    if (auto failure = registered.registerAll(files)) return failure;
    if (auto failure = announce(*node)) return failure;
    signals.wait();
    signals.take();
    return registered.unregisterAll();
}

MaybeFailure runLoopback(const Options& options, SignalWatch& signals) {
    std::vector<LocalFile> files;
    if (auto failure = checkFiles(options, files)) return failure;
    std::unique_ptr<Node> node;
    if (auto failure = Node::start(options, Role::kTarget, node)) return failure;
    RegisteredFiles registered(node->engine());
    if (auto failure = registered.registerAll(files)) return failure;
    MaybeFailure failure = runOnSegment(*node, node->segmentName(), options, signals);
    MaybeFailure end = registered.unregisterAll();
    return failure ? failure : end;
}

}  // namespace mooncake::bench
