// SPDX-License-Identifier: Apache-2.0
// Submits from the destructors of a thread's and of the process's objects, which run when the
// engine's own memory of that thread is gone: each submission is refused, or carried out. Says so
// with status 0; AddressSanitizer, or MALLOC_PERTURB_, tells where it touches what is freed.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fake_transport.h"
#include "multi_transport.h"

using namespace mooncake;

namespace {

class Store {
 public:
    Store() {
        metadata_ = std::make_shared<TransferMetadata>("http://127.0.0.1:1/metadata");
        auto descriptor = std::make_shared<TransferMetadata::SegmentDesc>();
        descriptor->name = "segment";
        descriptor->protocol = "fake";
        metadata_->addLocalSegment(1, "segment", std::move(descriptor));
        transports_ = std::make_unique<MultiTransport>(metadata_, "store");
        transports_->addTransport(
            "fake", std::make_shared<test::FakeTransport>(test::FakeTransport::Options{}), nullptr);
    }
    /// @return whether what was submitted, if it was, has ended well
    bool write() {
        const auto batch = transports_->allocateBatchID(kRequests);
        if (batch == Transport::INVALID_BATCH_ID) return true;
        const std::vector<Transport::TransferRequest> requests(
            kRequests, {Transport::TransferRequest::WRITE, buffer_, 1, 0, sizeof(buffer_)});
        Transport::TransferStatus status{Transport::COMPLETED, 0};
        if (transports_->submitTransfer(batch, requests).ok()) {
            do {
                if (!transports_->getBatchTransferStatus(batch, status).ok()) return false;
            } while (status.s == Transport::WAITING);
        }
        return transports_->freeBatchID(batch).ok() && status.s == Transport::COMPLETED;
    }

 private:
    static constexpr size_t kRequests = 64;
    std::shared_ptr<TransferMetadata> metadata_;
    std::unique_ptr<MultiTransport> transports_;
    char buffer_[4096] = {};
};

struct Flush {
    const char* when;
    Store* store = nullptr;
    bool ends = false;
    ~Flush() {
        if (store == nullptr) return;
        const bool well = store->write();
        std::printf("%s: %s\n", when, well ? "well" : "FAILED");
        std::fflush(stdout);
        if (!well) _exit(1);
        if (ends) delete store;
    }
};

Flush ofProcess{"at the process's end"};
thread_local Flush ofThread{"at the thread's end"};

}  // namespace

int main() {
    auto* const store = new Store;
    ofProcess.store = store;
    ofProcess.ends = true;
    std::thread([store] {
        // Made before whatever the engine has of this thread, so destroyed after it.
        ofThread.store = store;
        if (!store->write()) _exit(1);
    }).join();
    return store->write() ? 0 : 1;
}
