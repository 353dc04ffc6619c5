// SPDX-License-Identifier: Apache-2.0
// A program whose static and thread_local objects write what they have left when they end: after
// everything that the engine keeps for the thread. Exits with 0 where all of it was written.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fake_transport.h"
#include "memory_storage.h"
#include "multi_transport.h"

using namespace mooncake;

namespace {

class Store {
 public:
    Store()
        : metadata_(std::make_shared<TransferMetadata>(std::make_shared<test::MemoryStorage>())),
          transports_(std::make_unique<MultiTransport>(metadata_, "node")) {
        auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
        desc->name = "segment";
        desc->protocol = "fake";
        metadata_->addLocalSegment(1, "segment", std::move(desc));
        test::FakeTransport::Options options;
        options.threads = 1;
        transports_->addTransport("fake", std::make_shared<test::FakeTransport>(options), nullptr);
    }

    bool write() {
        const auto batch = transports_->allocateBatchID(4);
        const std::vector<Transport::TransferRequest> requests(
            4, {Transport::TransferRequest::WRITE, buffer_, 1, 0, sizeof(buffer_)});
        if (!transports_->submitTransfer(batch, requests).ok()) return false;
        Transport::TransferStatus status{};
        do {
            if (!transports_->getBatchTransferStatus(batch, status).ok()) return false;
            transports_->waitForProgress(std::chrono::milliseconds(1));
        } while (status.s == Transport::WAITING);
        return status.s == Transport::COMPLETED &&
               status.transferred_bytes == 4 * sizeof(buffer_) &&
               transports_->freeBatchID(batch).ok();
    }

 private:
    const std::shared_ptr<TransferMetadata> metadata_;
    std::unique_ptr<MultiTransport> transports_;
    char buffer_[4096] = {};
};

struct Last {
    explicit Last(const char* of) : what(of) {}
    ~Last();
    const char* const what;
    std::unique_ptr<Store> store;
};

bool thread_wrote = false;

Last& ofProgram() {
    static Last last("program");
    return last;
}

Last::~Last() {
    Store* const used = store ? store.get() : ofProgram().store.get();
    const bool written = used->write() && used->write();
    if (std::string(what) == "thread") {
        thread_wrote = written;
    } else if (!written || !thread_wrote) {
        std::fprintf(stderr, "%s\n", written ? "the thread has not written" : "not written");
        _exit(1);
    }
}

}  // namespace

int main() {
    ofProgram().store = std::make_unique<Store>();
    if (!ofProgram().store->write()) return 2;
    std::thread([] {
        // Made before anything of the engine's for this thread, and so destroyed after it.
        thread_local Last last("thread");
        if (!ofProgram().store->write()) _exit(3);
        static_cast<void>(last.what);
    }).join();
    return 0;
}
