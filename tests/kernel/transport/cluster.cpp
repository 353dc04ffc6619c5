// SPDX-License-Identifier: Apache-2.0
#include "cluster.h"

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "soft_roce.h"

using namespace mooncake;

std::string targetAddress(const std::string& trtype, int port) {
    const std::string address = trtype == "rdma" ? softRoceAddress() : "127.0.0.1";
    return "trtype=" + trtype + " adrfam=ipv4 traddr=" + address +
           " trsvcid=" + std::to_string(port);
}

namespace {

// What the tests need of the kernel beyond what each test of this kind has.
class Modules : public ::testing::Environment {
    void SetUp() override {
        test_support::ChildProcess modprobe({"modprobe", "loop"});
        ASSERT_EQ(modprobe.wait(), 0) << modprobe.output();
    }
};

[[maybe_unused]] const auto* const modules = ::testing::AddGlobalTestEnvironment(new Modules);

}  // namespace

std::string testFolder() {
    const char* folder = getenv("NVMEOF_TEST_DIR");
    if (folder == nullptr)
        throw std::runtime_error("NVMEOF_TEST_DIR is not set: run through scripts/test.sh");
    return folder;
}

MetadataServer::MetadataServer(int port, const std::string& host)
    // Nobody reads its lines, and a full pipe would stop it.
    : server_({"transfer_engine_metadata_server", "--nolog_changes", "--host", host, "--port",
               std::to_string(port)}) {
    const std::string line = server_.waitForLine("listening on ");
    const size_t url = line.find("http://");
    if (url == std::string::npos)
        throw std::runtime_error("no metadata server: " + server_.output());
    port_ = std::stoi(line.substr(line.find(':', url + 7) + 1));
    url_ = "http://127.0.0.1:" + std::to_string(port_) + "/metadata";
}

Node::Node(const std::string& metadata, const std::string& name, const std::string& address)
    : engine_(std::make_unique<TransferEngine>(false)) {
    EXPECT_EQ(engine_->init(metadata, name), 0);
    std::string text = address;
    void* arguments[] = {text.data()};
    EXPECT_NE(engine_->installTransport("nvmeof_generic", address.empty() ? nullptr : arguments),
              nullptr);
}

uint32_t Node::add(const std::string& path, uint64_t size) {
    FileBufferID id = 0;
    EXPECT_EQ(engine_->registerLocalFile(path, size, id), 0) << path;
    return id;
}

std::vector<TransferStatus> Node::run(const std::vector<TransferRequest>& requests) {
    std::vector<TransferStatus> outcome(requests.size(), {TransferStatusEnum::INVALID, 0});
    const BatchID batch = engine_->allocateBatchID(requests.size());
    const Status submitted = engine_->submitTransfer(batch, requests);
    EXPECT_TRUE(submitted.ok()) << submitted.ToString();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    // What takes long leaves the processors to others: an emulated machine has few.
    int polls = 0;
    for (size_t i = 0; submitted.ok() && i < requests.size(); ++i) {
        do {
            EXPECT_TRUE(engine_->getTransferStatus(batch, i, outcome[i]).ok());
            if (outcome[i].s != TransferStatusEnum::WAITING) break;
            if (++polls < 1000) {
                std::this_thread::yield();
            } else {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        } while (std::chrono::steady_clock::now() < limit);
    }
    const Status freed = engine_->freeBatchID(batch);
    EXPECT_TRUE(freed.ok()) << freed.ToString();
    return outcome;
}

bool Node::write(SegmentID segment, uint32_t file, uint64_t offset, const void* data,
                 size_t length) {
    const auto outcome =
        run({{TransferRequest::WRITE, const_cast<void*>(data), segment, offset, length, 0, file}});
    return outcome[0].s == TransferStatusEnum::COMPLETED && outcome[0].transferred_bytes == length;
}

bool Node::read(SegmentID segment, uint32_t file, uint64_t offset, void* data, size_t length) {
    const auto outcome = run({{TransferRequest::READ, data, segment, offset, length, 0, file}});
    return outcome[0].s == TransferStatusEnum::COMPLETED && outcome[0].transferred_bytes == length;
}
