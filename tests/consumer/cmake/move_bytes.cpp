// SPDX-License-Identifier: Apache-2.0
// move_bytes <folder>: offers a file, writes to it and reads it over NVMe/TCP in one process, and
// compares with what is in the file itself.
#include <transfer_engine.h>
#include <transport/nvmeof_generic_transport/nvmeof_transport.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kFileBytes = 1 << 20;
constexpr size_t kOffset = 8192;
using Bytes = std::vector<char>;

void need(bool good, const std::string& what) {
    if (good) return;
    std::cerr << "FAILED: " << what << "\n";
    std::exit(1);
}

Bytes pattern(size_t size, unsigned seed) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<char>((i * 2654435761u + seed * 97 + i / 251) >> 3);
    }
    return bytes;
}

void move(mooncake::TransferEngine& engine, mooncake::TransferRequest request) {
    const mooncake::BatchID batch = engine.allocateBatchID(1);
    const mooncake::Status submitted = engine.submitTransfer(batch, {request});
    need(submitted.ok(), "submitting: " + submitted.ToString());
    mooncake::TransferStatus status{};
    do {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        need(engine.getTransferStatus(batch, 0, status).ok(), "asking for the status");
    } while (status.s == mooncake::TransferStatusEnum::WAITING);
    need(status.s == mooncake::TransferStatusEnum::COMPLETED &&
             status.transferred_bytes == request.length,
         "the transfer");
    need(engine.freeBatchID(batch).ok(), "freeing the batch");
}

Bytes fileBytes(const std::string& path) {
    Bytes bytes(kFileBytes);
    std::ifstream file(path, std::ios::binary);
    need(file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())).good(),
         "reading the file itself");
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    need(argc == 2, "usage: move_bytes <folder>");
    const std::string path = std::string(argv[1]) + "/consumer-cpp";
    Bytes wanted = pattern(kFileBytes, 1);
    need(static_cast<bool>(std::ofstream(path, std::ios::binary)
                               .write(wanted.data(), static_cast<std::streamsize>(wanted.size()))
                               .flush()),
         "making the file");

    mooncake::TransferEngine engine;
    need(engine.init(P2PHANDSHAKE, "127.0.0.1:0") == 0, "init");
    char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[] = {address};
    auto* transport = static_cast<mooncake::NVMeoFGenericTransport*>(
        engine.installTransport("nvmeof_generic", args));
    need(transport != nullptr, "installing the transport");
    mooncake::FileBufferID id = 0;
    need(engine.registerLocalFile(path, kFileBytes, id) == 0, "registering the file");
    const auto segment = engine.openSegment(engine.getLocalIpAndPort());
    need(segment != static_cast<mooncake::SegmentHandle>(-1), "opening the segment");

    // What lies in the file comes over the wire, and what goes over the wire lies in the file.
    Bytes read(kFileBytes);
    move(engine, {mooncake::TransferRequest::READ, read.data(), segment, 0, read.size(), 0, id});
    need(read == wanted, "what was read is not what is in the file");
    Bytes written = pattern(kFileBytes / 2, 2);
    move(engine, {mooncake::TransferRequest::WRITE, written.data(), segment, kOffset,
                  written.size(), 0, id});
    std::copy(written.begin(), written.end(), wanted.begin() + kOffset);
    need(fileBytes(path) == wanted, "what is in the file is not what was written");

    // Past the plugin's edge, too: what a program sees of the transport itself.
    const mooncake::TransportStats stats = transport->getStats();
    need(stats.segments.size() == 1 && stats.segments[0].files.size() == 1 &&
             stats.segments[0].files[0].writes.bytes == written.size() && stats.submits.ios > 0,
         "the statistics");
    need(engine.unregisterLocalFile(path) == 0, "unregistering the file");
    // The engine must not keep anything that the plugin made: its code is gone.
    need(engine.uninstallTransport("nvmeof_generic") == 0, "uninstalling the transport");
    need(engine.getMetadata()->getSegmentDescByID(mooncake::LOCAL_SEGMENT_ID) == nullptr,
         "the local segment is still there");
    need(engine.freeEngine() == 0, "freeing the engine");
    std::cout << "C++: moved " << read.size() + written.size() << " bytes\n";
    return 0;
}
