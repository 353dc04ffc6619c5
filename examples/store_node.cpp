// SPDX-License-Identifier: Apache-2.0
// A node of the object store that gives its files and does nothing else: mounts them, so that all
// nodes put and get objects there, until SIGINT or SIGTERM.
//
//   store_node <directory> <transport address> <file of 9 MiB or more>...
//   store_node etcd://10.0.0.9:2379 "trtype=tcp adrfam=ipv4 traddr=10.0.0.1 trsvcid=4420"
//   /dev/nvme1n1
//
// Files must be empty (zeros), or of this store. $STORE_NODE_LEASE is for how many seconds the node
// may be silent before it counts as gone (10). Needs a Linux kernel with nvmet and nvme-tcp, and
// root.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

#include "mooncake_store/client.h"

using namespace mooncake;

static int failed(const std::string& what) {
    std::cerr << "store_node: " << what << ": " << Client::LastError() << "\n";
    return 1;
}

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: " << argv[0] << " <directory> <transport address> <file>...\n";
        return 2;
    }
    // Before the first thread: they do not take these signals then, and sigwait does.
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &end, nullptr);

    const std::string address = argv[2];
    const size_t host = address.find("traddr=");
    if (host == std::string::npos) {
        std::cerr << "store_node: the transport address '" << address << "' has no traddr=\n";
        return 2;
    }
    ClientOptions options;
    const size_t begin = host + std::string("traddr=").size();
    // Others ask there for what this node exports; the port is one that is free.
    options.local_hostname = address.substr(begin, address.find(' ', begin) - begin) + ":0";
    options.protocol_args = address;
    options.directory = argv[1];
    if (const char* lease = std::getenv("STORE_NODE_LEASE")) {
        options.lease = std::chrono::seconds(std::atoi(lease));
    }
    const auto client = Client::Create(options);
    if (!client) return failed("joining the store");
    for (int i = 3; i < argc; ++i) {
        if (!(*client)->MountFileSegment(argv[i]))
            return failed(std::string("mounting ") + argv[i]);
    }
    std::cout << "ready: " << (*client)->GetTransportEndpoint() << " serves " << argc - 3
              << " file(s)" << std::endl;
    int signal = 0;
    sigwait(&end, &signal);
    return (*client)->Close() ? 0 : failed("leaving the store");
}
