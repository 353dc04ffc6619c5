// SPDX-License-Identifier: Apache-2.0
#include "transfer_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "fixture_control.h"
#include "http_storage.h"
#include "server_thread.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kProto[] = "fixture_good";

class TransferEngineTest : public ::testing::Test {
 protected:
    TransferEngineTest() {
        setenv("MC_TRANSPORT_PLUGIN_PATH", FIXTURE_PLUGIN_FOLDER, 1);
        std::unique_ptr<HttpStorage> storage;
        EXPECT_TRUE(HttpStorage::create(server_.url(), StoreLimits(), &storage).ok());
        storage_ = std::move(storage);
    }

    std::unique_ptr<TransferEngine> makeEngine(const std::string& name) {
        auto engine = std::make_unique<TransferEngine>();
        EXPECT_EQ(engine->init(server_.url(), name), 0);
        return engine;
    }

    static Transport* install(TransferEngine& engine, FixtureControl* control) {
        void* args[] = {control};
        return engine.installTransport(kProto, args);
    }

    bool isPublished(const std::string& key) {
        std::string value;
        return storage_->get(key, &value).ok();
    }

    // The files that other nodes see.
    std::vector<FileBufferID> publishedFiles(const std::string& name) {
        TransferMetadata metadata(server_.url());
        const auto desc = metadata.getSegmentDesc(name);
        std::vector<FileBufferID> ids;
        if (desc) {
            for (const auto& file : desc->file_buffers) ids.push_back(file.id);
        }
        return ids;
    }

    // How many values the server has taken, up to this one of its entries: the end of its tag.
    int publications(const std::string& key) {
        HttpClient client{StoreLimits()};
        HttpResponse response;
        EXPECT_TRUE(client
                        .request(HttpMethod::kGet, server_.url() + "?key=" + percentEncode(key), "",
                                 std::chrono::seconds(10), &response)
                        .ok());
        const size_t dash = response.etag.rfind('-');
        if (dash == std::string::npos) return -1;
        return std::atoi(response.etag.c_str() + dash + 1);
    }

    ServerThread server_;
    std::unique_ptr<MetadataStorage> storage_;
    FixtureControl control_;  // outlives the engines of a test
};

TEST_F(TransferEngineTest, TransfersToAFileOfAnotherEngine) {
    auto target = makeEngine("target");
    ASSERT_NE(install(*target, &control_), nullptr);
    FileBufferID id = 0;
    ASSERT_EQ(target->registerLocalFile("/data/a", 8192, id), 0);
    EXPECT_EQ(id, 1u);

    FixtureControl initiator_control;
    auto initiator = makeEngine("initiator");
    ASSERT_NE(install(*initiator, &initiator_control), nullptr);
    const SegmentHandle segment = initiator->openSegment("/target");
    ASSERT_EQ(segment, 1u);
    EXPECT_EQ(initiator->openSegment("target"), segment);
    const auto desc = initiator->getMetadata()->getSegmentDescByID(segment);
    ASSERT_TRUE(desc);
    ASSERT_EQ(desc->file_buffers.size(), 1u);
    EXPECT_EQ(desc->file_buffers[0].path, "/data/a");
    EXPECT_EQ(desc->file_buffers[0].size, 8192u);

    char buffer[512] = {};
    TransferRequest request{};
    request.opcode = TransferRequest::WRITE;
    request.source = buffer;
    request.target_id = segment;
    request.target_offset = 0;
    request.length = sizeof(buffer);
    EXPECT_EQ(request.file_id, 0u) << "the default for segments without files";
    request.file_id = id;
    const BatchID batch = initiator->allocateBatchID(1);
    ASSERT_TRUE(initiator->submitTransfer(batch, {request}).ok());
    TransferStatus status{};
    ASSERT_TRUE(initiator->getTransferStatus(batch, 0, status).ok());
    EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
    EXPECT_EQ(status.transferred_bytes, sizeof(buffer));
    ASSERT_TRUE(initiator->getBatchTransferStatus(batch, status).ok());
    EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
    EXPECT_TRUE(initiator->freeBatchID(batch).ok());
    initiator.reset();
    EXPECT_EQ(initiator_control.destroyed, 1);
}

// Each publication writes the record of all files, and some stores keep every one.
TEST_F(TransferEngineTest, ManyFilesCostAHandfulOfPublications) {
    constexpr char kKey[] = "mooncake/ram/target";
    auto target = makeEngine("target");
    ASSERT_NE(install(*target, &control_), nullptr);
    const int before = publications(kKey);
    std::vector<std::string> paths, refused{"x"};
    {
        TransferEngine::FileBatch batch(*target);
        for (int i = 0; i < 1024; ++i) {
            FileBufferID id = 0;
            paths.push_back("/data/a-file-with-a-name-of-forty-bytes-" + std::to_string(i));
            ASSERT_EQ(target->registerLocalFile(paths.back(), 8192, id), 0);
        }
        EXPECT_EQ(batch.publish(&refused), 0);
    }
    EXPECT_THAT(refused, IsEmpty());
    EXPECT_EQ(publishedFiles("target").size(), 1024u);
    EXPECT_LE(publications(kKey) - before, 2);
    // A reload that removes 500.
    paths.resize(500);
    EXPECT_EQ(target->withdrawLocalFiles(paths), 0);
    EXPECT_EQ(publishedFiles("target").size(), 524u);
    for (const std::string& path : paths) EXPECT_EQ(target->unregisterLocalFile(path), 0);
    EXPECT_LE(publications(kKey) - before, 3);
    EXPECT_EQ(control_.files.size() - 500, 524u) << "the others are served";
    EXPECT_EQ(target->withdrawLocalFiles(paths), 0) << "they are out";
    // A single call keeps its promise.
    FileBufferID id = 0;
    EXPECT_EQ(target->registerLocalFile("/data/one", 8192, id), 0);
    EXPECT_EQ(publishedFiles("target").size(), 525u);
    // So does a batch that ends by itself.
    {
        TransferEngine::FileBatch batch(*target);
        EXPECT_EQ(target->registerLocalFile("/data/two", 8192, id), 0);
    }
    EXPECT_EQ(publishedFiles("target").size(), 526u);
}

// What was registered before its transport came is published at once, too.
TEST_F(TransferEngineTest, ATransportThatComesLaterPublishesOnce) {
    auto target = makeEngine("target");
    ASSERT_NE(install(*target, &control_), nullptr);
    {
        TransferEngine::FileBatch batch(*target);
        for (int i = 0; i < 100; ++i) {
            FileBufferID id = 0;
            ASSERT_EQ(target->registerLocalFile("/data/" + std::to_string(i), 1, id), 0);
        }
    }
    EXPECT_EQ(publishedFiles("target").size(), 100u);
    TransferEngine::FileBatch none(*target);
    std::vector<std::string> refused;
    const int before = publications("mooncake/ram/target");
    EXPECT_EQ(none.publish(&refused), 0);
    EXPECT_EQ(publications("mooncake/ram/target"), before) << "nothing was to be published";
}

TEST_F(TransferEngineTest, ANameInUseIsTakenOverOrRefused) {
    auto first = makeEngine("target");
    ASSERT_NE(install(*first, &control_), nullptr);
    FileBufferID id = 0;
    ASSERT_EQ(first->registerLocalFile("/a", 1, id), 0);
    TransferEngine refused;
    EXPECT_EQ(refused.init(server_.url(), "target", "", 1, TransferEngine::NameInUse::kRefuse),
              ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(publishedFiles("target").size(), 1u);
    // As Mooncake does it, and without a wait.
    FixtureControl second_control;
    auto second = makeEngine("target");
    ASSERT_NE(install(*second, &second_control), nullptr);
    EXPECT_THAT(publishedFiles("target"), IsEmpty());
    EXPECT_EQ(first->registerLocalFile("/b", 1, id), ERR_METADATA) << "nobody would find it";
    EXPECT_EQ(first->freeEngine(), 0);
    EXPECT_TRUE(isPublished("mooncake/ram/target"));
    EXPECT_TRUE(isPublished("mooncake/rpc_meta/target"));
    EXPECT_EQ(second->freeEngine(), 0);
    EXPECT_FALSE(isPublished("mooncake/ram/target"));
    EXPECT_FALSE(isPublished("mooncake/rpc_meta/target"));
    EXPECT_EQ(refused.init(server_.url(), "target", "", 1, TransferEngine::NameInUse::kRefuse), 0);
}

TEST_F(TransferEngineTest, CallsBeforeInitAndAfterFreeAreErrors) {
    const auto expectErrors = [&](TransferEngine& engine) {
        FileBufferID id = 77;
        TransferStatus status{};
        char byte = 0;
        EXPECT_EQ(install(engine, &control_), nullptr);
        EXPECT_NE(engine.uninstallTransport(kProto), 0);
        EXPECT_EQ(engine.openSegment("x"), static_cast<SegmentHandle>(-1));
        EXPECT_NE(engine.closeSegment(1), 0);
        EXPECT_NE(engine.removeLocalSegment("x"), 0);
        EXPECT_NE(engine.registerLocalMemory(&byte, 1), 0);
        EXPECT_NE(engine.unregisterLocalMemory(&byte), 0);
        EXPECT_NE(engine.registerLocalMemoryBatch({{&byte, 1}}, kWildcardLocation), 0);
        EXPECT_NE(engine.unregisterLocalMemoryBatch({&byte}), 0);
        EXPECT_FALSE(engine.supportFileBuffer());
        EXPECT_EQ(engine.registerLocalFile("/x", 1, id), ERR_NOT_IMPLEMENTED);
        EXPECT_EQ(id, 77u);
        EXPECT_NE(engine.unregisterLocalFile("/x"), 0);
        EXPECT_NE(engine.withdrawLocalFiles({"/x"}), 0);
        std::vector<std::string> refused;
        EXPECT_NE(TransferEngine::FileBatch(engine).publish(&refused), 0);
        EXPECT_EQ(engine.allocateBatchID(1), Transport::INVALID_BATCH_ID);
        EXPECT_FALSE(engine.freeBatchID(1).ok());
        EXPECT_FALSE(engine.submitTransfer(1, {TransferRequest{}}).ok());
        EXPECT_FALSE(engine.getTransferStatus(1, 0, status).ok());
        EXPECT_FALSE(engine.getBatchTransferStatus(1, status).ok());
        EXPECT_EQ(engine.getTransport(kProto), nullptr);
        EXPECT_EQ(engine.getMetadata(), nullptr);
        EXPECT_NE(engine.syncSegmentCache(), 0);
        EXPECT_EQ(engine.getLocalIpAndPort(), "");
        EXPECT_LT(engine.getRpcPort(), 0);
    };
    TransferEngine engine;
    expectErrors(engine);
    EXPECT_EQ(engine.freeEngine(), 0);
    ASSERT_EQ(engine.init(server_.url(), "node"), 0);
    EXPECT_EQ(engine.init(server_.url(), "node"), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(engine.freeEngine(), 0);
    expectErrors(engine);
    EXPECT_EQ(engine.freeEngine(), 0);
    EXPECT_EQ(engine.init(server_.url(), "node"), ERR_INVALID_ARGUMENT);
}

// Case 25: what cannot be a name is refused before anything is done with it.
TEST_F(TransferEngineTest, RefusesMalformedArgumentsOfInit) {
    for (const std::string& name :
         {std::string(), std::string("a b"), std::string("a,b"), std::string("a\nb"),
          std::string("a\0b", 3), std::string("a/b"), std::string(".."), std::string(513, 'a')}) {
        TransferEngine engine;
        EXPECT_EQ(engine.init(server_.url(), name), ERR_INVALID_ARGUMENT) << name;
    }
    TransferEngine engine;
    EXPECT_EQ(engine.init(server_.url(), "node", "", 65536), ERR_INVALID_ARGUMENT);
    for (const char* conn : {"", "127.0.0.1:0", "etcd://h:x", "redis://h:0", "ftp://h/metadata",
                             "http://", "file:///etc/passwd"}) {
        EXPECT_EQ(engine.init(conn, "node"), ERR_INVALID_ARGUMENT) << conn;
    }
    // A failure leaves the engine ready for another try.
    EXPECT_EQ(engine.init(server_.url(), "node"), 0);
}

// Case 45: the server is down at the start.
TEST_F(TransferEngineTest, InitFailsWhileTheMetadataServerIsDown) {
    std::string url;
    {
        ServerThread gone;
        url = gone.url();
    }
    TransferEngine engine;
    EXPECT_EQ(engine.init(url, "node"), ERR_METADATA);
    EXPECT_EQ(engine.getMetadata(), nullptr);
    EXPECT_EQ(engine.init(server_.url(), "node"), 0);
}

TEST_F(TransferEngineTest, PublishesItsAddressAndTakesItBack) {
    TransferEngine engine;
    ASSERT_EQ(engine.init(server_.url(), "host.example:1234", "10.0.0.7", 23456), 0);
    EXPECT_EQ(engine.getLocalIpAndPort(), "10.0.0.7:23456");
    EXPECT_EQ(engine.getRpcPort(), 23456);
    TransferMetadata other(server_.url());
    TransferMetadata::RpcMetaDesc rpc;
    ASSERT_EQ(other.getRpcMetaEntry("host.example:1234", rpc), 0);
    EXPECT_EQ(rpc.ip_or_host_name, "10.0.0.7");
    EXPECT_EQ(rpc.rpc_port, 23456);
    EXPECT_EQ(engine.freeEngine(), 0);
    EXPECT_NE(other.getRpcMetaEntry("host.example:1234", rpc), 0);

    TransferEngine second;
    ASSERT_EQ(second.init(server_.url(), "[::1]:99"), 0);
    EXPECT_EQ(second.getLocalIpAndPort(), "[::1]:12345") << "the host of the name";
}

TEST_F(TransferEngineTest, TheOwnSegmentIsSegmentZero) {
    auto engine = makeEngine("node");
    EXPECT_EQ(engine->openSegment("node"), static_cast<SegmentHandle>(-1)) << "none yet";
    ASSERT_NE(install(*engine, &control_), nullptr);
    EXPECT_EQ(engine->openSegment("node"), static_cast<SegmentHandle>(LOCAL_SEGMENT_ID));
    EXPECT_EQ(engine->openSegment("///node"), static_cast<SegmentHandle>(LOCAL_SEGMENT_ID));
    EXPECT_EQ(engine->openSegment("unknown"), static_cast<SegmentHandle>(-1));
    EXPECT_EQ(engine->openSegment(""), static_cast<SegmentHandle>(-1));
    EXPECT_EQ(engine->openSegment("//"), static_cast<SegmentHandle>(-1));
}

TEST_F(TransferEngineTest, ReopeningAClosedSegmentFetchesItAfresh) {
    auto target = makeEngine("target");
    ASSERT_NE(install(*target, &control_), nullptr);
    auto initiator = makeEngine("initiator");
    const SegmentHandle segment = initiator->openSegment("target");
    ASSERT_NE(segment, static_cast<SegmentHandle>(-1));
    FileBufferID id = 0;
    ASSERT_EQ(target->registerLocalFile("/a", 1, id), 0);
    EXPECT_EQ(initiator->openSegment("target"), segment);
    EXPECT_TRUE(initiator->getMetadata()->getSegmentDescByID(segment)->file_buffers.empty());
    EXPECT_EQ(initiator->closeSegment(segment), 0);
    EXPECT_EQ(initiator->openSegment("target"), segment) << "the handle stays";
    EXPECT_EQ(initiator->getMetadata()->getSegmentDescByID(segment)->file_buffers.size(), 1u);
    EXPECT_EQ(initiator->closeSegment(99), ERR_INVALID_ARGUMENT);

    ASSERT_EQ(target->registerLocalFile("/b", 1, id), 0);
    EXPECT_EQ(initiator->syncSegmentCache("target"), 0);
    EXPECT_EQ(initiator->getMetadata()->getSegmentDescByID(segment)->file_buffers.size(), 2u);
    target.reset();
    EXPECT_EQ(initiator->syncSegmentCache(), ERR_METADATA);
    EXPECT_EQ(initiator->getMetadata()->getSegmentDescByID(segment)->file_buffers.size(), 2u);
}

TEST_F(TransferEngineTest, FileIdsStartAtOneAndAreNeverReused) {
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    EXPECT_TRUE(engine->supportFileBuffer());
    FileBufferID a = 0;
    FileBufferID b = 0;
    ASSERT_EQ(engine->registerLocalFile("/a", 10, a), 0);
    ASSERT_EQ(engine->registerLocalFile("/b", 10, b), 0);
    EXPECT_EQ(a, 1u);
    EXPECT_EQ(b, 2u);
    ASSERT_EQ(engine->unregisterLocalFile("/a"), 0);
    EXPECT_THAT(publishedFiles("node"), UnorderedElementsAre(2));
    ASSERT_EQ(engine->registerLocalFile("/a", 10, a), 0);
    EXPECT_EQ(a, 3u);
    // A transport that failed may have seen the id.
    control_.register_result = ERR_CONTEXT;
    FileBufferID c = 77;
    EXPECT_EQ(engine->registerLocalFile("/c", 10, c), ERR_CONTEXT);
    EXPECT_EQ(c, 77u);
    control_.register_result = 0;
    ASSERT_EQ(engine->registerLocalFile("/c", 10, c), 0);
    EXPECT_EQ(c, 5u);
    EXPECT_THAT(publishedFiles("node"), UnorderedElementsAre(2, 3, 5));
}

TEST_F(TransferEngineTest, AFileCanHaveANumberOfTheCallersChoice) {
    auto engine = makeEngine("node");
    EXPECT_EQ(engine->registerLocalFileAs("/a", 10, 2), ERR_NOT_IMPLEMENTED);
    ASSERT_NE(install(*engine, &control_), nullptr);
    for (const FileBufferID none : {0u, 65536u, UINT32_MAX}) {
        EXPECT_EQ(engine->registerLocalFileAs("/a", 10, none), ERR_INVALID_ARGUMENT);
    }
    ASSERT_EQ(engine->registerLocalFileAs("/a", 10, 2), 0);
    ASSERT_EQ(engine->registerLocalFileAs("/b", 10, 65535), 0);
    EXPECT_EQ(engine->registerLocalFileAs("/c", 10, 2), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(engine->registerLocalFileAs("/a", 10, 7), ERR_ADDRESS_OVERLAPPED);
    // Counting leaves out what is taken.
    FileBufferID c = 0, d = 0;
    ASSERT_EQ(engine->registerLocalFile("/c", 10, c), 0);
    ASSERT_EQ(engine->registerLocalFile("/d", 10, d), 0);
    EXPECT_EQ(c, 1u);
    EXPECT_EQ(d, 3u);
    EXPECT_EQ(engine->registerLocalFileAs("/e", 10, 3), ERR_ADDRESS_OVERLAPPED);
    // What was a file's once is nobody else's.
    ASSERT_EQ(engine->unregisterLocalFile("/a"), 0);
    EXPECT_EQ(engine->registerLocalFileAs("/e", 10, 2), ERR_ADDRESS_OVERLAPPED);
    // What was refused can be tried again. What failed otherwise others may have seen.
    for (const int error : {ERR_INVALID_ARGUMENT, ERR_CONTEXT}) {
        control_.register_result = error;
        EXPECT_EQ(engine->registerLocalFileAs("/e", 10, error == ERR_CONTEXT ? 5 : 4), error);
    }
    control_.register_result = 0;
    EXPECT_EQ(engine->registerLocalFileAs("/e", 10, 5), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(engine->registerLocalFileAs("/e", 10, 4), 0);
    EXPECT_THAT(publishedFiles("node"), UnorderedElementsAre(1, 3, 4, 65535));
}

// While it is on its way, nobody else gets the number.
TEST_F(TransferEngineTest, AChosenNumberIsTakenWhileItIsBeingRegistered) {
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    FileBufferID other = 0;
    bool first = true;
    control_.on_register = [&] {
        if (!std::exchange(first, false)) return;
        EXPECT_EQ(engine->registerLocalFileAs("/b", 10, 1), ERR_ADDRESS_OVERLAPPED);
        EXPECT_EQ(engine->registerLocalFile("/b", 10, other), 0);
    };
    EXPECT_EQ(engine->registerLocalFileAs("/a", 10, 1), 0);
    EXPECT_EQ(other, 2u);
    control_.on_register = [] {};
}

TEST_F(TransferEngineTest, KnowsAPathInEverySpelling) {
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    FileBufferID id = 0;
    ASSERT_EQ(engine->registerLocalFile("/data/x/../a", 10, id), 0);
    for (const char* path :
         {"/data/x/../a", "/data/a", "/data//a", "/data/./a", "//data/../data/a"}) {
        EXPECT_EQ(engine->registerLocalFile(path, 10, id), ERR_ADDRESS_OVERLAPPED) << path;
    }
    EXPECT_EQ(engine->registerLocalFile("", 10, id), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(engine->registerLocalFile(std::string("/a\0b", 4), 10, id), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(engine->unregisterLocalFile("/data/b"), ERR_ADDRESS_NOT_REGISTERED);
    EXPECT_EQ(engine->unregisterLocalFile("/data/a"), 0);
    EXPECT_EQ(engine->unregisterLocalFile("/data/a"), ERR_ADDRESS_NOT_REGISTERED);
    ASSERT_EQ(engine->registerLocalFile("relative", 10, id), 0);
    EXPECT_EQ(engine->unregisterLocalFile("./relative"), 0);
}

TEST_F(TransferEngineTest, AFailedRegistrationLeavesNothing) {
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    control_.register_result = ERR_INVALID_ARGUMENT;
    FileBufferID id = 0;
    EXPECT_EQ(engine->registerLocalFile("/a", 10, id), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(engine->unregisterLocalFile("/a"), ERR_ADDRESS_NOT_REGISTERED);
    EXPECT_THAT(publishedFiles("node"), IsEmpty());
    control_.register_result = 0;
    EXPECT_EQ(engine->registerLocalFile("/a", 10, id), 0);
}

TEST_F(TransferEngineTest, AFileThatCannotBeUnregisteredStays) {
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    FileBufferID id = 0;
    ASSERT_EQ(engine->registerLocalFile("/a", 10, id), 0);
    control_.unregister_result = ERR_BATCH_BUSY;
    EXPECT_EQ(engine->unregisterLocalFile("/a"), ERR_BATCH_BUSY);
    EXPECT_EQ(engine->registerLocalFile("/a", 10, id), ERR_ADDRESS_OVERLAPPED);
    control_.unregister_result = 0;
    EXPECT_EQ(engine->unregisterLocalFile("/a"), 0);
}

// While one thread is at it, the path is taken but not yet to be had.
TEST_F(TransferEngineTest, APathIsTakenWhileItIsBeingRegistered) {
    auto engine = makeEngine("node");
    std::promise<void> entered;
    std::promise<void> go_on;
    control_.on_register = [&] {
        entered.set_value();
        go_on.get_future().wait();
    };
    ASSERT_NE(install(*engine, &control_), nullptr);
    auto registered = std::async(std::launch::async, [&] {
        FileBufferID id = 0;
        return engine->registerLocalFile("/a", 10, id);
    });
    entered.get_future().wait();
    FileBufferID id = 0;
    EXPECT_EQ(engine->registerLocalFile("/a", 10, id), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(engine->unregisterLocalFile("/a"), ERR_ADDRESS_NOT_REGISTERED);
    go_on.set_value();
    EXPECT_EQ(registered.get(), 0);
    EXPECT_EQ(engine->unregisterLocalFile("/a"), 0);
}

TEST_F(TransferEngineTest, ATransportCanBeInstalledAgain) {
    auto engine = makeEngine("node");
    Transport* first = install(*engine, &control_);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(engine->getTransport(kProto), first);
    EXPECT_EQ(install(*engine, &control_), first) << "one is enough";
    FileBufferID id = 0;
    ASSERT_EQ(engine->registerLocalFile("/a", 10, id), 0);
    EXPECT_EQ(engine->uninstallTransport(kProto), 0);
    EXPECT_EQ(control_.destroyed, 1);
    EXPECT_EQ(engine->getTransport(kProto), nullptr);
    EXPECT_FALSE(engine->supportFileBuffer());
    EXPECT_FALSE(isPublished("mooncake/ram/node"));
    EXPECT_NE(engine->uninstallTransport(kProto), 0);
    ASSERT_NE(install(*engine, &control_), nullptr);
    // The file went with its transport; it may be registered again, under a new id.
    ASSERT_EQ(engine->registerLocalFile("/a", 10, id), 0);
    EXPECT_EQ(id, 2u);
    EXPECT_THAT(publishedFiles("node"), UnorderedElementsAre(2));
}

TEST_F(TransferEngineTest, UnknownOrFailingTransportsAreNotInstalled) {
    auto engine = makeEngine("node");
    EXPECT_EQ(engine->installTransport("tcp", nullptr), nullptr);
    EXPECT_EQ(engine->installTransport("../x", nullptr), nullptr);
    EXPECT_EQ(engine->installTransport("fixture_wrong_major", nullptr), nullptr);
    control_.install_result = ERR_CONTEXT;
    EXPECT_EQ(install(*engine, &control_), nullptr);
    EXPECT_EQ(control_.destroyed, 1);
    control_.install_result = 0;
    EXPECT_NE(install(*engine, &control_), nullptr);
}

TEST_F(TransferEngineTest, RefusesOverlappingMemory) {
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    std::vector<char> buffer(1000);
    char* const base = buffer.data();
    ASSERT_EQ(engine->registerLocalMemory(base + 100, 100), 0);
    EXPECT_EQ(engine->registerLocalMemory(base + 199, 10), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(engine->registerLocalMemory(base + 50, 51), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(engine->registerLocalMemory(base, 1000), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(engine->registerLocalMemory(base + 120, 10), ERR_ADDRESS_OVERLAPPED);
    EXPECT_EQ(engine->registerLocalMemory(base, 0), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(engine->registerLocalMemory(nullptr, 10), ERR_INVALID_ARGUMENT);
    EXPECT_EQ(engine->registerLocalMemory(base, SIZE_MAX), ERR_INVALID_ARGUMENT);
    EXPECT_TRUE(engine->checkOverlap(base + 150, 1));
    EXPECT_FALSE(engine->checkOverlap(base + 200, 100));
    EXPECT_EQ(engine->registerLocalMemory(base + 200, 100), 0) << "neighbours do not overlap";
    // All or nothing.
    EXPECT_EQ(engine->registerLocalMemoryBatch({{base + 400, 10}, {base + 405, 10}}, "*"),
              ERR_ADDRESS_OVERLAPPED);
    EXPECT_FALSE(engine->checkOverlap(base + 400, 100));
    EXPECT_EQ(engine->registerLocalMemoryBatch({{base + 400, 10}, {base + 410, 10}}, "*"), 0);
    EXPECT_EQ(engine->unregisterLocalMemoryBatch({base + 400, base + 999}),
              ERR_ADDRESS_NOT_REGISTERED);
    EXPECT_TRUE(engine->checkOverlap(base + 400, 1));
    EXPECT_EQ(engine->unregisterLocalMemoryBatch({base + 400, base + 410}), 0);
    EXPECT_EQ(engine->unregisterLocalMemory(base + 150), ERR_ADDRESS_NOT_REGISTERED);
    EXPECT_EQ(engine->unregisterLocalMemory(base + 100), 0);
    EXPECT_EQ(engine->unregisterLocalMemory(base + 100), ERR_ADDRESS_NOT_REGISTERED);
    EXPECT_EQ(control_.memory, std::set<void*>{base + 200});
    // A transport's refusal leaves nothing.
    control_.memory_result = ERR_MEMORY;
    EXPECT_EQ(engine->registerLocalMemory(base + 100, 100), ERR_MEMORY);
    EXPECT_FALSE(engine->checkOverlap(base + 100, 100));
}

TEST_F(TransferEngineTest, ATransportLearnsWhatWasRegisteredBeforeIt) {
    auto engine = makeEngine("node");
    char byte = 0;
    ASSERT_EQ(engine->registerLocalMemory(&byte, 1), 0);
    control_.memory_result = ERR_MEMORY;
    EXPECT_EQ(install(*engine, &control_), nullptr);
    EXPECT_EQ(engine->getTransport(kProto), nullptr);
    EXPECT_EQ(control_.destroyed, 1);
    control_.memory_result = 0;
    ASSERT_NE(install(*engine, &control_), nullptr);
    EXPECT_EQ(control_.memory, std::set<void*>{&byte});
}

// Case 40, the engine's part. Transports go first, while their node can still be found.
TEST_F(TransferEngineTest, FreeEndsRequestsThenTransportsThenMetadata) {
    auto engine = makeEngine("node");
    bool address_was_there = false;
    control_.on_destroy = [&] { address_was_there = isPublished("mooncake/rpc_meta/node"); };
    control_.complete_at_once = false;
    ASSERT_NE(install(*engine, &control_), nullptr);
    EXPECT_TRUE(isPublished("mooncake/ram/node"));
    TransferRequest request{};
    request.length = 10;
    const BatchID batch = engine->allocateBatchID(1);
    ASSERT_TRUE(engine->submitTransfer(batch, {request}).ok());
    EXPECT_EQ(engine->freeEngine(), 0);
    EXPECT_EQ(control_.destroyed, 1);
    EXPECT_TRUE(address_was_there);
    EXPECT_FALSE(isPublished("mooncake/rpc_meta/node"));
    EXPECT_FALSE(isPublished("mooncake/ram/node"));
    TransferStatus status{};
    ASSERT_TRUE(engine->getTransferStatus(batch, 0, status).ok());
    EXPECT_EQ(status.s, TransferStatusEnum::FAILED);
    EXPECT_TRUE(engine->freeBatchID(batch).ok());
}

// Case 46, the engine's part: what a crashed process left is no obstacle.
TEST_F(TransferEngineTest, TakesOverTheEntriesOfACrashedPredecessor) {
    ASSERT_TRUE(storage_->set("mooncake/rpc_meta/node", "{\"ip_or_host_name\":\"old\"}").ok());
    ASSERT_TRUE(storage_->set("mooncake/ram/node", "left behind").ok());
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    auto other = makeEngine("other");
    EXPECT_NE(other->openSegment("node"), static_cast<SegmentHandle>(-1));
}

// Case 44: run under ThreadSanitizer too.
TEST_F(TransferEngineTest, ConcurrentUse) {
    auto engine = makeEngine("node");
    ASSERT_NE(install(*engine, &control_), nullptr);
    auto other = makeEngine("other");
    constexpr int kRounds = 15;
    std::atomic<int> registered{0};
    const auto registerFiles = [&](int thread) {
        for (int round = 0; round < kRounds; ++round) {
            const std::string path = "/file" + std::to_string(thread);
            FileBufferID id = 0;
            EXPECT_EQ(engine->registerLocalFile(path, 10, id), 0);
            ++registered;
            FileBufferID shared = 0;
            const int rc = engine->registerLocalFile("/shared", 10, shared);
            EXPECT_TRUE(rc == 0 || rc == ERR_ADDRESS_OVERLAPPED);
            if (rc == 0) {
                EXPECT_EQ(engine->unregisterLocalFile("/shared"), 0);
            }
            if (round + 1 < kRounds) {
                EXPECT_EQ(engine->unregisterLocalFile(path), 0);
            }
        }
    };
    const auto openAndClose = [&] {
        for (int round = 0; round < kRounds; ++round) {
            const SegmentHandle segment = other->openSegment("node");
            EXPECT_EQ(segment, 1u);
            EXPECT_TRUE(other->getMetadata()->getSegmentDescByID(segment, true));
            EXPECT_EQ(other->closeSegment(segment), 0);
        }
    };
    const auto submit = [&] {
        for (int round = 0; round < 20 * kRounds; ++round) {
            TransferRequest request{};
            request.length = 10;
            const BatchID batch = engine->allocateBatchID(1);
            EXPECT_TRUE(engine->submitTransfer(batch, {request}).ok());
            EXPECT_TRUE(engine->freeBatchID(batch).ok());
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(registerFiles, i);
    threads.emplace_back(openAndClose);
    threads.emplace_back(submit);
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(registered, 3 * kRounds);
    EXPECT_EQ(publishedFiles("node").size(), 3u) << "the last publication shows the last state";
}

}  // namespace
}  // namespace mooncake::test
