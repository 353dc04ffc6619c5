// SPDX-License-Identifier: Apache-2.0
// data_path_probe <case> <folder> <seconds> [arguments]: what neither fio nor the bench measures of
// the data path. Prints a line of JSON. scripts/perf/data_path_cases.sh knows which shim
// (aio_shim/aio_shim.h) each case runs with.
#include <signal.h>

#include <exception>
#include <iostream>

#include "nodes.h"

using namespace mooncake::probe;

int main(int argc, char** argv) {
    const std::map<std::string, Case> cases{
        {"fixed-latency", fixedLatency}, {"striped", striped},          {"two-threads", twoThreads},
        {"many-segments", manySegments}, {"setup", setupBesidePollers}, {"waits", waits},
        {"one-request", oneRequest},     {"poll-only", pollOnly}};
    const auto found = argc >= 4 ? cases.find(argv[1]) : cases.end();
    if (found == cases.end()) {
        std::cerr << "usage: data_path_probe <case> <folder> <seconds> [arguments]; the cases:";
        for (const auto& [name, run] : cases) std::cerr << ' ' << name;
        std::cerr << '\n';
        return 2;
    }
    // As servers do, and the bench: it saves system calls (docs/performance.md).
    signal(SIGPIPE, SIG_IGN);
    try {
        found->second({argv[2],
                       std::chrono::milliseconds(static_cast<int>(std::stod(argv[3]) * 1000)),
                       {argv + 4, argv + argc}});
    } catch (const std::exception& error) {
        std::cerr << "data_path_probe: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
