// SPDX-License-Identifier: Apache-2.0
// A MultiTransport with fake transports.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "fake_transport.h"
#include "memory_storage.h"
#include "multi_transport.h"

namespace mooncake::test {

using std::chrono::steady_clock;
using Request = Transport::TransferRequest;
using TransferStatus = Transport::TransferStatus;

inline constexpr std::chrono::seconds kLimit(60);

class MultiTransportTest : public ::testing::Test {
 protected:
    MultiTransportTest()
        : storage_(std::make_shared<MemoryStorage>()),
          metadata_(std::make_shared<TransferMetadata>(storage_)),
          transports_(std::make_unique<MultiTransport>(metadata_, "node")) {}

    void addSegment(Transport::SegmentID id, const std::string& protocol) {
        auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
        desc->name = "segment" + std::to_string(id);
        desc->protocol = protocol;
        const std::string name = desc->name;
        ASSERT_EQ(metadata_->addLocalSegment(id, name, std::move(desc)), 0);
    }

    // The transport of protocol `proto`, with segment `id` of that protocol.
    FakeTransport* add(Transport::SegmentID id, const std::string& proto,
                       FakeTransport::Options options = {}) {
        addSegment(id, proto);
        auto transport = std::make_shared<FakeTransport>(std::move(options));
        FakeTransport* const raw = transport.get();
        EXPECT_EQ(transports_->addTransport(proto, std::move(transport), nullptr), 0);
        return raw;
    }

    // Writes, as a rule: they may all come from one buffer.
    Request write(Transport::SegmentID segment, size_t length) {
        return {Request::WRITE, buffer_.data(), segment, 0, length, 0, 1};
    }

    TransferStatus statusOf(Transport::BatchID batch, size_t task) {
        TransferStatus status{};
        EXPECT_TRUE(transports_->getTransferStatus(batch, task, status).ok());
        return status;
    }

    TransferStatus waitForBatch(Transport::BatchID batch) {
        const auto limit = steady_clock::now() + kLimit;
        TransferStatus status{};
        do {
            EXPECT_TRUE(transports_->getBatchTransferStatus(batch, status).ok());
            if (status.s != Transport::WAITING) return status;
            std::this_thread::yield();
        } while (steady_clock::now() < limit);
        ADD_FAILURE() << "the batch did not end in time";
        return status;
    }

    std::array<char, 65536> buffer_{};
    std::shared_ptr<MemoryStorage> storage_;
    std::shared_ptr<TransferMetadata> metadata_;
    std::unique_ptr<MultiTransport> transports_;
};

}  // namespace mooncake::test
