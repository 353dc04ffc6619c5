// SPDX-License-Identifier: Apache-2.0
// What the tests here run on: a metadata server, nodes, and transfers with their outcome.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "child_process.h"
#include "file_pattern.h"
#include "transfer_engine.h"

/// The transport and address that nodes export at: TCP on the loopback device, or RDMA over
/// soft-RoCE.
std::string targetAddress(const std::string& trtype, int port = 4420);

/// A folder with direct I/O, from the script that runs the test.
std::string testFolder();

/// The real metadata server, in a process of its own.
class MetadataServer {
 public:
    /// @param port  0: one that is free
    /// @param host  the address it listens at; url() leads there from this machine
    explicit MetadataServer(int port = 0, const std::string& host = "127.0.0.1");
    const std::string& url() const { return url_; }
    int port() const { return port_; }

 private:
    test_support::ChildProcess server_;
    std::string url_;
    int port_ = 0;
};

/// An engine with the transport.
class Node {
 public:
    /// @param address  empty: it exports nothing
    Node(const MetadataServer& metadata, const std::string& name, const std::string& address = "")
        : Node(metadata.url(), name, address) {}
    /// @param metadata  the connection string
    Node(const std::string& metadata, const std::string& name, const std::string& address = "");

    mooncake::TransferEngine& engine() { return *engine_; }
    /// Registers a file with its size. @return its id; 0 after a failure, which is a failure of the
    /// test
    uint32_t add(const std::string& path, uint64_t size);

    /// Runs the requests as one batch, to its end.
    /// @return the outcome of each
    std::vector<mooncake::TransferStatus> run(
        const std::vector<mooncake::TransferRequest>& requests);

    /// One request; @return whether it COMPLETED with all its bytes
    bool write(mooncake::SegmentID segment, uint32_t file, uint64_t offset, const void* data,
               size_t length);
    bool read(mooncake::SegmentID segment, uint32_t file, uint64_t offset, void* data,
              size_t length);

    /// Removes it before the end of its scope.
    void end() { engine_.reset(); }

 private:
    std::unique_ptr<mooncake::TransferEngine> engine_;
};
