// SPDX-License-Identifier: Apache-2.0
// A metadata server for nodes that use http://host:port/metadata. It keeps everything in memory:
// nodes publish again when they start.
//
// Exit status: 0 after SIGINT or SIGTERM, 1 if it cannot listen or stops by itself, 2 for wrong
// usage.
#include <gflags/gflags.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <utility>

#include "metadata_server.h"
#include "secret_file.h"

DECLARE_bool(help);
DECLARE_bool(helpshort);

DEFINE_string(
    host, "127.0.0.1",
    "address to listen on; the default serves this machine alone, 0.0.0.0 or an address of "
    "it other machines, too");
DEFINE_int32(port, 8080, "TCP port to listen on; 0 takes a free one, which is printed");
DEFINE_uint64(max_value_bytes, uint64_t{8} << 20, "largest value, in bytes; 413 above");
DEFINE_uint64(max_keys, 65536, "most keys; 507 above");
DEFINE_uint64(max_total_bytes, uint64_t{256} << 20,
              "most bytes of keys and values together; 507 above");
DEFINE_uint64(max_connections, 512, "most connections at once; half of them from one address");
DEFINE_string(
    token_file, "",
    "file with the tokens, one a line, of which nodes have to send one; default: that of "
    "MC_METADATA_TOKEN_FILE, or the credential metadata_token; none: everybody is served");
DEFINE_string(tls_cert, "",
              "file with the certificate to serve https with; default: the credential tls_cert");
DEFINE_string(tls_key, "", "file with its private key; default: the credential tls_key");
DEFINE_string(tls_client_ca, "",
              "file with the authorities that have to know a client's certificate; default: the "
              "credential tls_client_ca; none: clients need no certificate");
DEFINE_bool(log_changes, true, "write a line for each change of an entry, a few a second at most");

// Of the library, which has it for such a purpose and does not declare it.
namespace google {
extern void (*gflags_exitfunc)(int);
}

namespace {

using mooncake::AccessList;
using mooncake::MetadataServer;

// How long requests under way may hold up the end.
constexpr std::chrono::seconds kDrain(10);
constexpr int kUsage = 2;

// The credential that the service was given, where there is one, for a flag that says nothing.
std::string orCredential(const std::string& path, const char* name) {
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (!path.empty() || folder == nullptr || *folder == '\0') return path;
    const std::string credential = std::string(folder) + "/" + name;
    return access(credential.c_str(), F_OK) == 0 ? credential : "";
}

struct Files {
    std::string tokens;
    mooncake::ServerTls tls;
};

Files filesOfFlags() {
    Files files;
    files.tokens = FLAGS_token_file;
    if (files.tokens.empty()) {
        files.tokens = mooncake::environmentText("MC_METADATA_TOKEN_FILE");
    }
    files.tokens = orCredential(files.tokens, "metadata_token");
    files.tls = {orCredential(FLAGS_tls_cert, "tls_cert"), orCredential(FLAGS_tls_key, "tls_key"),
                 orCredential(FLAGS_tls_client_ca, "tls_client_ca")};
    return files;
}

// False, with the cause in *error, where a file is of no use; nothing is changed then.
bool takeFiles(const Files& files, MetadataServer* server, std::string* error) {
    AccessList::Tokens tokens;
    if (!files.tokens.empty() && !AccessList::read(files.tokens, &tokens, error)) return false;
    if (files.tls.cert.empty() != files.tls.key.empty() ||
        (files.tls.cert.empty() && !files.tls.client_ca.empty())) {
        *error = "--tls_cert and --tls_key belong together, and --tls_client_ca needs both";
        return false;
    }
    mooncake::TlsContext tls;
    if (!files.tls.cert.empty()) {
        tls = mooncake::makeTlsContext(files.tls, error);
        if (!tls) return false;
    }
    server->setTokens(std::move(tokens));
    server->setTls(std::move(tls));
    return true;
}

bool isPort(const char* flag, int32_t value) {
    if (value >= 0 && value <= 65535) return true;
    std::fprintf(stderr, "--%s is %d; it takes 0 to 65535\n", flag, value);
    return false;
}
DEFINE_validator(port, &isPort);

bool isNumberOfConnections(const char* flag, uint64_t value) {
    if (value >= 2 && value <= 16384) return true;
    std::fprintf(stderr, "--%s takes 2 to 16384\n", flag);
    return false;
}
DEFINE_validator(max_connections, &isNumberOfConnections);

// Ends the process where the flags are wrong or ask for nothing but help.
void takeFlags(int* argc, char*** argv) {
    gflags::SetVersionString(PROGRAM_VERSION);
    gflags::SetUsageMessage("[flags]: serves metadata to transfer engines over HTTP");
    google::gflags_exitfunc = [](int status) { std::exit(status == 0 ? 0 : kUsage); };
    gflags::ParseCommandLineNonHelpFlags(argc, argv, true);
    if (FLAGS_help || FLAGS_helpshort) {
        gflags::ShowUsageWithFlagsRestrict((*argv)[0], "examples/transfer_engine_metadata_server");
        std::exit(0);
    }
    gflags::HandleCommandLineHelpFlags();
    if (*argc > 1) {
        std::fprintf(stderr, "'%s' is not a flag; see --help\n", (*argv)[1]);
        std::exit(kUsage);
    }
}

bool servesThisMachineAlone(const std::string& host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace

int main(int argc, char** argv) {
    takeFlags(&argc, &argv);

    // Before there are threads, so that all of them inherit it and main receives every signal.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);  // the end of the server's own thread
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    MetadataServer::Options options;
    options.store.value_bytes = FLAGS_max_value_bytes;
    options.store.keys = FLAGS_max_keys;
    options.store.total_bytes = FLAGS_max_total_bytes;
    options.crowd.connections = FLAGS_max_connections;
    options.crowd.per_peer = FLAGS_max_connections / 2;
    // Room for a few of the largest values at once.
    options.pending_bytes = std::max<size_t>(options.pending_bytes, 4 * FLAGS_max_value_bytes);
    if (FLAGS_log_changes) {
        options.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    }
    MetadataServer server(options);
    const Files files = filesOfFlags();
    std::string error;
    if (!takeFiles(files, &server, &error)) {
        std::fprintf(stderr, "%s\n", error.c_str());
        return kUsage;
    }
    if (!server.bind(FLAGS_host, FLAGS_port, &error)) {
        std::fprintf(stderr, "%s; choose another with --host and --port\n", error.c_str());
        return 1;
    }
    const bool encrypted = !files.tls.cert.empty();
    if (!servesThisMachineAlone(FLAGS_host)) {
        if (files.tokens.empty() && files.tls.client_ca.empty()) {
            std::fprintf(stderr,
                         "warning: whoever reaches %s port %d can read and replace every record; "
                         "give a token with --token_file, or keep it inside a network that you "
                         "trust\n",
                         FLAGS_host.c_str(), server.port());
        } else if (!encrypted) {
            std::fprintf(stderr,
                         "warning: the token goes unencrypted over the wire; see "
                         "--tls_cert\n");
        }
    }
    const bool is_ipv6 = FLAGS_host.find(':') != std::string::npos;
    std::printf("listening on %s://%s%s%s:%d/metadata\n", encrypted ? "https" : "http",
                is_ipv6 ? "[" : "", FLAGS_host.c_str(), is_ipv6 ? "]" : "", server.port());
    std::fflush(stdout);

    const pthread_t main_thread = pthread_self();
    std::future<bool> served = std::async(std::launch::async, [&server, main_thread] {
        const bool well = server.serve();
        pthread_kill(main_thread, SIGUSR1);
        return well;
    });
    int received = 0;
    while (sigwait(&signals, &received) == 0 && received == SIGHUP) {
        if (takeFiles(files, &server, &error)) {
            std::fprintf(stderr, "tokens and certificates have been read again\n");
        } else {
            std::fprintf(stderr, "nothing is changed: %s\n", error.c_str());
        }
    }
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
