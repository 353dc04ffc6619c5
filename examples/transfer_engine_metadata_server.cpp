// SPDX-License-Identifier: Apache-2.0
// A metadata server for nodes that use http://host:port/metadata. It keeps everything in memory:
// nodes publish again when they start.
//
// Exit status: 0 after SIGINT or SIGTERM, 1 if it cannot listen or stops by itself.
#include <gflags/gflags.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <string>

#include "metadata_server.h"

DEFINE_string(host, "0.0.0.0",
              "address to listen on; the default serves other machines, 127.0.0.1 only this one");
DEFINE_int32(port, 8080, "TCP port to listen on; 0 takes a free one, which is printed");
DEFINE_uint64(max_value_bytes, uint64_t{8} << 20, "largest value, in bytes; 413 above");
DEFINE_uint64(max_keys, 65536, "most keys; 507 above");

namespace {

// How long requests under way may hold up the end.
constexpr std::chrono::seconds kDrain(10);

bool isPort(const char* flag, int32_t value) {
    if (value >= 0 && value <= 65535) return true;
    std::fprintf(stderr, "--%s is %d; it takes 0 to 65535\n", flag, value);
    return false;
}
DEFINE_validator(port, &isPort);

}  // namespace

int main(int argc, char** argv) {
    gflags::SetVersionString(PROGRAM_VERSION);
    gflags::SetUsageMessage("[flags]: serves metadata to transfer engines over HTTP");
    gflags::ParseCommandLineFlags(&argc, &argv, true);
    if (argc > 1) {
        std::fprintf(stderr, "'%s' is not a flag; see --help\n", argv[1]);
        return 1;
    }

    // Before there are threads, so that all of them inherit it and main receives every signal.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    mooncake::KeyValueStore::Limits limits;
    limits.value_bytes = FLAGS_max_value_bytes;
    limits.keys = FLAGS_max_keys;
    mooncake::MetadataServer server(limits);
    std::string error;
    if (!server.bind(FLAGS_host, FLAGS_port, &error)) {
        std::fprintf(stderr, "%s; choose another with --host and --port\n", error.c_str());
        return 1;
    }
    const bool is_ipv6 = FLAGS_host.find(':') != std::string::npos;
    std::printf("listening on http://%s%s%s:%d/metadata\n", is_ipv6 ? "[" : "", FLAGS_host.c_str(),
                is_ipv6 ? "]" : "", server.port());
    std::fflush(stdout);

    const pthread_t main_thread = pthread_self();
    std::future<bool> served = std::async(std::launch::async, [&server, main_thread] {
        const bool well = server.serve();
        pthread_kill(main_thread, SIGTERM);
        return well;
    });
    int received = 0;
    sigwait(&signals, &received);
    server.stop();
    if (served.wait_for(kDrain) != std::future_status::ready) {
        std::fprintf(stderr, "some requests did not end in time; they are cut off\n");
        _exit(0);
    }
    if (!served.get()) {
        std::fprintf(stderr, "the server stopped by itself: it could not accept connections\n");
        return 1;
    }
    return 0;
}
