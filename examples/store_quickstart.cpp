// SPDX-License-Identifier: Apache-2.0
// The object store in one program: mount a file, put an object, get it back.
//
//   store_quickstart <directory, e.g. /tmp/store.db or etcd://127.0.0.1:2379> <file of 9 MiB or
//   more>
//
// The file must be empty (zeros), or of this store. Needs a Linux kernel with nvmet and nvme-tcp,
// and root.
#include <iostream>
#include <string>
#include <vector>

#include "mooncake_store/client.h"

using namespace mooncake;

static int failed(const std::string& what, ErrorCode code) {
    std::cerr << what << " failed: " << code << ": " << Client::LastError() << "\n";
    return 1;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " <directory> <file>\n";
        return 1;
    }
    // Other nodes find this one at this address, and its files at that of the NVMe/TCP target.
    const auto created =
        Client::Create("127.0.0.1:0", "P2PHANDSHAKE", "nvmeof_generic",
                       "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420", argv[1]);
    if (!created) return failed("joining the store", ErrorCode::INTERNAL_ERROR);
    Client& client = **created;
    if (const auto mounted = client.MountFileSegment(argv[2]); !mounted) {
        return failed("mounting the file", mounted.error());
    }

    std::vector<char> written(1 << 20), read(1 << 20);
    for (size_t i = 0; i < written.size(); ++i) written[i] = static_cast<char>(i * 31 % 251);
    std::vector<Slice> from = {{written.data(), written.size()}};
    if (const auto put = client.Put("hello", from, {}); !put) {
        return failed("putting", put.error());
    }
    std::vector<Slice> into = {{read.data(), read.size()}};
    if (const auto got = client.Get("hello", into); !got) return failed("getting", got.error());
    if (read != written) {
        std::cerr << "the object 'hello' was there before, with other bytes\n";
        return 1;
    }
    std::cout << "put and got " << read.size() << " bytes; " << client.GetSummaryMetrics().value()
              << "\n";
    return 0;
}
