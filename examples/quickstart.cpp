// SPDX-License-Identifier: Apache-2.0
// The whole way in one program: offer a file, write to it over NVMe/TCP, read it back.
//
//   quickstart <metadata server, e.g. http://127.0.0.1:8080/metadata> <file of 64 KiB or more>
//
// Overwrites the first 64 KiB of the file. Needs a Linux kernel with nvmet and nvme-tcp, and root.
#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "transfer_engine.h"

using namespace mooncake;

static void check(bool good, const std::string& what) {
    if (!good) throw std::runtime_error(what + " failed; the log above says why");
}

// Moves one buffer to or from the start of a file, and waits for it.
static void transfer(TransferEngine& engine, TransferRequest::OpCode opcode, SegmentHandle segment,
                     FileBufferID file, std::vector<char>& data) {
    TransferRequest request;
    request.opcode = opcode;
    request.source = data.data();
    request.target_id = segment;
    request.target_offset = 0;
    request.length = data.size();
    request.file_id = file;

    const BatchID batch = engine.allocateBatchID(1);
    check(engine.submitTransfer(batch, {request}).ok(), "submitting");
    TransferStatus status;
    do {
        engine.waitForProgress(std::chrono::milliseconds(10));
        check(engine.getTransferStatus(batch, 0, status).ok(), "asking for the status");
    } while (status.s == TransferStatusEnum::WAITING);
    check(status.s == TransferStatusEnum::COMPLETED, "the transfer");
    engine.freeBatchID(batch);
}

static void run(const std::string& metadataServer, const std::string& file) {
    // A node, its transport, and the address at which its files are exported.
    TransferEngine engine;
    check(engine.init(metadataServer, "quickstart") == 0, "joining the metadata server");
    char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[] = {address};
    check(engine.installTransport("nvmeof_generic", args) != nullptr, "installing the transport");

    // Target: offer the file. Other nodes can open the segment "quickstart" from now on.
    FileBufferID id = 0;
    check(engine.registerLocalFile(file, std::filesystem::file_size(file), id) == 0,
          "registering the file");

    // Initiator: open the segment by its name, here our own; write, read back, compare.
    const SegmentHandle segment = engine.openSegment("quickstart");
    check(segment != static_cast<SegmentHandle>(-1), "opening the segment");
    std::vector<char> written(65536), read(65536);
    for (size_t i = 0; i < written.size(); ++i) written[i] = static_cast<char>(i * 31 % 251);
    transfer(engine, TransferRequest::WRITE, segment, id, written);
    transfer(engine, TransferRequest::READ, segment, id, read);
    check(read == written, "comparing");
    std::cout << "wrote and read back " << read.size() << " bytes of " << file << "\n";

    check(engine.unregisterLocalFile(file) == 0, "unregistering the file");
}

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " <metadata server URL> <file>\n";
        return 1;
    }
    try {
        run(argv[1], argv[2]);
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 0;
}
