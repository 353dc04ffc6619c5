// SPDX-License-Identifier: Apache-2.0
#include "local_nodes.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace mooncake::test {
namespace {

// Before the first engine: which plugin, and SIGPIPE as servers have it.
const bool prepared = [] {
    setenv("MC_TRANSPORT_PLUGIN_PATH", LOCAL_TRANSPORT_PLUGIN, 1);
    signal(SIGPIPE, SIG_IGN);
    return true;
}();

void require(bool condition, const std::string& what) {
    if (!condition) throw std::runtime_error(what);
}

}  // namespace

FileFolder::FileFolder() {
    std::string pattern = std::filesystem::current_path() / "data-path-XXXXXX";
    require(mkdtemp(pattern.data()) != nullptr, "mkdtemp " + pattern);
    path_ = pattern;
}

FileFolder::~FileFolder() {
    std::filesystem::remove_all(path_);
}

std::string FileFolder::make(const std::string& name, size_t size, char fill) const {
    const std::string path = path_ + "/" + name;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << std::string(size, fill) << std::flush;
    require(file.good(), "writing " + path);
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    require(fd >= 0 && fsync(fd) == 0 && close(fd) == 0, "syncing " + path);
    return path;
}

std::string contents(const std::string& path, uint64_t offset, size_t length) {
    std::string bytes(length, '\0');
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t count = pread(fd, bytes.data(), length, static_cast<off_t>(offset));
    close(fd);
    bytes.resize(count < 0 ? 0 : static_cast<size_t>(count));
    return bytes;
}

Memory::Memory(size_t bytes)
    : size(bytes), data(static_cast<char*>(std::aligned_alloc(kBlock, bytes))) {
    require(data != nullptr, "memory for a buffer");
    std::memset(data, 0, bytes);
}
Memory::~Memory() {
    std::free(data);
}

Node::Node() {
    require(prepared && engine.init(P2PHANDSHAKE, "127.0.0.1:0") == 0, "a node does not join");
}

void Node::becomeTarget() {
    char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[] = {address};
    require(engine.installTransport("nvmeof_generic", args) != nullptr, "installing a target");
}

FileBufferID Node::add(const std::string& path, size_t size) {
    FileBufferID file = 0;
    require(engine.registerLocalFile(path, size, file) == 0, "registering " + path);
    return file;
}

SegmentHandle Node::open(const std::string& segment) {
    if (engine.getTransport("nvmeof_generic") == nullptr) {
        require(engine.installTransport("nvmeof_generic", nullptr) != nullptr, "installing");
    }
    const SegmentHandle handle = engine.openSegment(segment);
    require(handle != static_cast<SegmentHandle>(-1), "opening " + segment);
    return handle;
}

TransferStatus Node::run(const TransferRequest& request) {
    const BatchID batch = engine.allocateBatchID(1);
    TransferStatus status{TransferStatusEnum::INVALID, 0};
    if (engine.submitTransfer(batch, {request}).ok()) {
        const auto limit = std::chrono::steady_clock::now() + kForever;
        for (;;) {
            EXPECT_TRUE(engine.getTransferStatus(batch, 0, status).ok());
            if (status.s != TransferStatusEnum::WAITING) break;
            if (std::chrono::steady_clock::now() > limit) return status;
            engine.waitForProgress(std::chrono::milliseconds(10));
        }
    }
    EXPECT_TRUE(engine.freeBatchID(batch).ok());
    return status;
}

}  // namespace mooncake::test
