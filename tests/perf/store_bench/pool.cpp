// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>

#include "figures.h"
#include "geometry.h"

namespace mooncake::store_bench {
namespace {

constexpr size_t kBlock = 4096;

}  // namespace

void failWith(const char* what, ErrorCode code) {
    fail(std::string(what) + ": " + toString(code) + " (" + Client::LastError() + ")");
}

Memory::Memory(size_t bytes)
    : bytes_(
          static_cast<char*>(std::aligned_alloc(kBlock, (bytes + kBlock - 1) / kBlock * kBlock))) {
    if (bytes_ == nullptr) fail("no memory for " + std::to_string(bytes) + " bytes");
    std::mt19937_64 random(bytes);
    for (size_t at = 0; at + sizeof(uint64_t) <= bytes; at += sizeof(uint64_t)) {
        const uint64_t word = random();
        std::memcpy(bytes_ + at, &word, sizeof(word));
    }
}

std::vector<std::vector<Slice>> Memory::slices(size_t count, size_t size) const {
    std::vector<std::vector<Slice>> all;
    for (size_t i = 0; i < count; ++i) all.push_back({{at(i * size), size}});
    return all;
}

void makeFile(const std::string& path, uint64_t bytes) {
    struct stat there {};
    if (stat(path.c_str(), &there) == 0 && static_cast<uint64_t>(there.st_size) == bytes) return;
    constexpr size_t kPart = 4 << 20;
    const Memory part(kPart);
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
    bool good = fd >= 0;
    for (uint64_t at = 0; good && at < bytes; at += kPart) {
        const size_t length = std::min<uint64_t>(kPart, bytes - at);
        good =
            pwrite(fd, part.at(0), length, static_cast<off_t>(at)) == static_cast<ssize_t>(length);
    }
    good = good && fsync(fd) == 0;
    const std::string why = strerror(errno);
    if (fd >= 0) close(fd);
    if (!good) fail("making " + path + ": " + why);
}

std::string keyOf(uint64_t number) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string key = "model@tp_rank:0@pcp0@dcp0@pp_rank:0@";
    uint64_t state = number;
    for (int word = 0; word < 4; ++word) {
        // splitmix64, which gives every number another one.
        state += 0x9e3779b97f4a7c15;
        uint64_t mixed = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
        mixed ^= mixed >> 31;
        for (int digit = 0; digit < 16; ++digit) key += kDigits[mixed >> 4 * digit & 15];
    }
    return key;
}

std::vector<std::string> keysOf(uint64_t first, size_t count) {
    std::vector<std::string> keys;
    keys.reserve(count);
    for (size_t i = 0; i < count; ++i) keys.push_back(keyOf(first + i));
    return keys;
}

Pool::Pool(const std::string& directory, const std::string& file)
    : engine_(std::make_shared<TransferEngine>()) {
    if (engine_->init(P2PHANDSHAKE, "127.0.0.1:0") != 0) fail("the engine does not join");
    char address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void* args[] = {address};
    if (engine_->installTransport("nvmeof_generic", file.empty() ? nullptr : args) == nullptr) {
        fail("the transport is not installed; the log above says why");
    }
    ClientOptions options;
    options.engine = engine_;
    options.directory = directory;
    options.node = "bench";
    auto client = Client::Create(options);
    if (!client) failWith("making a client", client.error());
    client_ = std::move(*client);
    if (file.empty()) return;
    MountOptions how;
    how.overwrite = true;
    if (const auto mounted = client_->MountFileSegment(file, how); !mounted) {
        failWith("mounting", mounted.error());
    }
    const auto own = engine_->getMetadata()->getSegmentDescByID(LOCAL_SEGMENT_ID);
    if (!own || own->file_buffers.size() != 1) fail("the engine does not serve the file");
    file_ = own->file_buffers.front().id;
    region_bytes_ = store::Geometry::of(std::filesystem::file_size(file)).value().region_bytes;
}

void Pool::fill(uint64_t first, size_t count, size_t size, size_t batch) {
    const Memory memory(batch * size);
    for (size_t done = 0; done < count; done += batch) {
        const size_t now = std::min(batch, count - done);
        auto slices = memory.slices(now, size);
        requireAll(client_->BatchPut(keysOf(first + done, now), slices, {}), "putting");
    }
}

std::vector<TransferRequest> Pool::requestsFor(const std::vector<std::string>& keys,
                                               TransferRequest::OpCode op, char* memory) {
    std::vector<TransferRequest> requests;
    for (const auto& found : client_->BatchQuery(keys)) {
        if (!found) failWith("looking an object up", found.error());
        for (const Replica::Extent& extent : found->replicas.front().extents) {
            const uint64_t offset =
                store::kHeaderBytes + extent.region * region_bytes_ + extent.offset;
            requests.push_back({op, memory, LOCAL_SEGMENT_ID, offset, extent.length, 0, file_});
            memory += extent.length;
        }
    }
    return requests;
}

std::string NewDirectories::next() const {
    static unsigned number = 0;
    const std::string name = "bench-" + std::to_string(getpid()) + "-" + std::to_string(number++);
    if (base_.starts_with("etcd://")) return base_ + "/" + name;
    return "sqlite://" + base_ + "/" + name + ".db";
}

}  // namespace mooncake::store_bench
