// SPDX-License-Identifier: Apache-2.0
#include "threadless_client.h"

#include <cstring>

namespace mooncake::store {

using mooncake::test::contentOf;
using mooncake::test::kMiB;

namespace {

std::shared_ptr<TransferEngine> makeEngine(MemoryTransportControl* control) {
    auto engine = std::make_shared<TransferEngine>();
    EXPECT_EQ(engine->init("P2PHANDSHAKE", "127.0.0.1:0"), 0);
    void* args[] = {control};
    EXPECT_NE(engine->installTransport("memory", args), nullptr);
    return engine;
}

}  // namespace

ThreadlessClient::ThreadlessClient(MemoryTransportControl* shared, const std::string& address,
                                   const std::string& name, std::chrono::milliseconds io_bound)
    : node(name),
      directory(address, name),
      control(shared),
      engine(makeEngine(shared)),
      ways(engine),
      files(directory, ways, name),
      data(*engine),
      cache(1000),
      open(directory, counters, [] {}),
      mover(directory, files, data, open, cache, counters),
      evictor(directory, *engine, files, cache, mover, counters, io_bound),
      mounted(directory, *engine, files, open, name, std::chrono::seconds(100)),
      parts{directory, *engine,
            files,     data,
            cache,     touched,
            open,      evictor,
            counters,  [this](Deadline deadline) {
                return ensureMember(deadline); }} {
    refresh();
}

Result<> ThreadlessClient::ensureMember(Deadline deadline) {
    ++members;
    if (member) return member();
    if (directory.lease().client != 0) return {};
    if (auto joined = directory.join(node, deadline); !joined) {
        return tl::unexpected(joined.error());
    }
    if (auto announced = mounted.announce(deadline); !announced) return announced;
    return files.refresh(deadline);
}

FileNumber ThreadlessClient::mountFile(const mooncake::test::Folder& folder, uint32_t regions) {
    const std::string path = folder.file(node, kMiB + regions * 4 * kMiB);
    const auto done = mounted.mount(path, false, DirectoryStub::soon());
    EXPECT_TRUE(done) << done.error().message;
    // The transport's files are memory; the superblock was written to the disk.
    const std::string header = mooncake::test::contents(path, 0, kMiB);
    std::memcpy(control->file(path)->data(), header.data(), header.size());
    look();
    for (const auto& [number, known] : *known_) {
        if (known.own) return number;
    }
    ADD_FAILURE() << "the file is not known";
    return 0;
}

ErrorCode ThreadlessClient::put(const std::string& key, size_t size, const ReplicateConfig& config,
                                bool replaces, Deadline deadline) {
    std::string bytes = contentOf(key, size);
    const Slice slice{bytes.data(), size};
    PutCall::Item item;
    item.key = &key;
    item.slices = {&slice, 1};
    PutCall(parts, config, replaces, deadline).run({&item, 1});
    return item.result ? ErrorCode::OK : item.result.error();
}

ErrorCode ThreadlessClient::get(const std::string& key, size_t size) {
    std::string bytes(size, '?');
    const Slice slice{bytes.data(), size};
    GetCall::Item item;
    item.key = &key;
    item.slices = {&slice, 1};
    GetCall(parts, DirectoryStub::soon()).run({&item, 1});
    if (!item.result) return item.result.error();
    return *item.result == size && bytes == contentOf(key, size) ? ErrorCode::OK
                                                                 : ErrorCode::INTERNAL_ERROR;
}

std::optional<ObjectEntry> ThreadlessClient::entry(const std::string& key) {
    const auto found = directory.real().lookup({key}, DirectoryStub::soon());
    EXPECT_TRUE(found) << found.error().message;
    return found ? found->front() : std::nullopt;
}

ThreadlessClientTest::ThreadlessClientTest() {
    setenv("MC_TRANSPORT_PLUGIN_PATH", MEMORY_TRANSPORT_FOLDER, 1);
}

ThreadlessClientTest::~ThreadlessClientTest() = default;

}  // namespace mooncake::store
