// SPDX-License-Identifier: Apache-2.0
// Targets that will never answer.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>

#include "cluster.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

/// A listener that accepts nobody.
class SilentListener {
 public:
    explicit SilentListener(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        EXPECT_EQ(listen(fd_.get(), 64), 0);
    }
    /// @return whether somebody wants to be accepted within a minute
    bool waitForCaller() const {
        pollfd caller{fd_.get(), POLLIN, 0};
        return poll(&caller, 1, 60000) == 1;
    }

 private:
    mooncake::nvmeof_generic::UniqueFd fd_;
};

/// Publishes a segment that is not there.
class Phantom {
 public:
    Phantom(const MetadataServer& metadata, const std::string& name, const std::string& address,
            const std::string& port) {
        EXPECT_EQ(engine_.init(metadata.url(), name), 0);
        auto descriptor = std::make_shared<mooncake::TransferMetadata::SegmentDesc>();
        descriptor->name = name;
        descriptor->protocol = "nvmeof_generic";
        descriptor->nvmeof_generic_trid = {"tcp", "ipv4", address, port,
                                           mooncake::nvmeof_generic::newSubsystemNqn()};
        descriptor->file_buffers = {{1, "/file", 4 << 20, 4096}};
        EXPECT_EQ(engine_.getMetadata()->addLocalSegment(mooncake::LOCAL_SEGMENT_ID, name,
                                                         std::move(descriptor)),
                  0);
        EXPECT_EQ(engine_.getMetadata()->updateLocalSegmentDesc(), 0);
    }

 private:
    mooncake::TransferEngine engine_;
};
