// SPDX-License-Identifier: Apache-2.0
// What the store costs beyond the engine: see --help, and scripts/store_bench.sh, which prepares
// what is needed.
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <signal.h>

#include <exception>
#include <functional>
#include <iostream>
#include <regex>

#include "cases.h"

DEFINE_string(folder, "/var/tmp", "Where files are made and left: a file system with direct I/O");
DEFINE_uint64(pool_mib, 2049, "Size of the pool's file, and of another one");
DEFINE_string(cases, ".",
              "Which are measured: a regular expression on their names; --list shows them");
DEFINE_bool(list, false, "Lists those cases, and measures nothing");
DEFINE_uint32(turns, 11, "Turns of each");
DEFINE_uint32(turn_ms, 300, "Of a turn that has no end of its own, milliseconds");
DEFINE_string(etcd, "", "etcd://host:port, for the cases that need one");
DEFINE_int32(etcd_process, 0, "Its process on this machine: its processor time is told then");
DEFINE_uint64(object_size, 0, "The cases get and put: bytes of an object, whole blocks of 4 KiB");
DEFINE_uint64(batch, 64, "The same: objects of a call");
DEFINE_uint64(threads, 1, "The same: threads that call; and of the case full-pool");
DEFINE_string(json, "", "Writes all values there");

namespace mooncake::store_bench {
namespace {

struct Case {
    std::string name;
    std::function<void(const Settings&, Report*)> measure;
};

Case transfer(const std::string& name, const Transfer& what) {
    return {name, [what](const Settings& settings, Report* report) {
                measureTransfer(settings, what, report);
            }};
}

std::vector<Case> allCases() {
    std::vector<Case> cases;
    if (FLAGS_object_size != 0) {
        if (FLAGS_object_size % 4096 != 0) fail("--object_size: whole blocks of 4096 bytes");
        for (const bool writes : {false, true}) {
            cases.push_back(transfer(writes ? "put" : "get",
                                     {writes, FLAGS_object_size, FLAGS_batch, FLAGS_threads}));
        }
        return cases;
    }
    cases.push_back(transfer("get-1m", {false, 1 << 20, 64, 1, 0.94, 120}));
    cases.push_back(transfer("put-1m", {true, 1 << 20, 64, 1, 0.90}));
    cases.push_back(transfer("get-4k", {false, 4096, 256, 1, 0.8}));
    cases.push_back({"full-pool", [](const Settings& settings, Report* report) {
                         measureFullPool(settings, 1 << 20, FLAGS_threads, report);
                     }});
    for (const std::string kind : {"SQLite", "etcd"}) {
        if (kind == "etcd" && FLAGS_etcd.empty()) continue;
        cases.push_back({"directory-" + kind, [kind](const Settings& settings, Report* report) {
                             measureDirectory(settings, kind, report);
                         }});
    }
    if (FLAGS_etcd.empty()) return cases;
    for (const size_t batch : {64, 1}) {
        cases.push_back(
            {"commits-" + std::to_string(batch), [batch](const Settings& settings, Report* report) {
                 measureCommits(settings, batch, report);
             }});
    }
    return cases;
}

int run() {
    Settings settings;
    settings.folder = FLAGS_folder;
    settings.pool_bytes = FLAGS_pool_mib << 20;
    settings.turns = FLAGS_turns;
    settings.turn = std::chrono::milliseconds(FLAGS_turn_ms);
    settings.etcd = FLAGS_etcd;
    settings.etcd_process = FLAGS_etcd_process;
    const std::regex wanted(FLAGS_cases);
    Report report;
    bool any = false;
    for (const Case& one : allCases()) {
        if (!std::regex_search(one.name, wanted)) continue;
        any = true;
        if (FLAGS_list) {
            std::cout << one.name << "\n";
            continue;
        }
        report.head(one.name);
        one.measure(settings, &report);
    }
    if (FLAGS_list) return 0;
    if (!any) fail("--cases='" + FLAGS_cases + "' matches none of those that --list shows");
    if (!FLAGS_json.empty()) report.writeJson(FLAGS_json);
    for (const std::string& name : report.missed()) std::cout << "MISSED " << name << "\n";
    return report.missed().empty() ? 0 : 1;
}

}  // namespace
}  // namespace mooncake::store_bench

int main(int argc, char** argv) {
    gflags::SetUsageMessage(
        "measures the object store against the engine, turn and turn about: objects in and out, "
        "the "
        "directory, a full pool. With MC_TRANSPORT_PLUGIN_PATH the transport on local files");
    gflags::ParseCommandLineFlags(&argc, &argv, true);
    FLAGS_logtostderr = true;
    if (FLAGS_minloglevel == 0) FLAGS_minloglevel = google::WARNING;
    google::InitGoogleLogging(argv[0]);
    // As servers do, and the bench: it saves system calls (docs/performance.md).
    signal(SIGPIPE, SIG_IGN);
    try {
        return mooncake::store_bench::run();
    } catch (const std::exception& error) {
        std::cerr << "store_bench: " << error.what() << "\n";
        return 2;
    }
}
