// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "plain_target.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

namespace initiator_test {

using namespace mooncake::nvmeof_generic;  // NOLINT: what these tests are about

inline const TransportAddress kLoopback{"tcp", "ipv4", "127.0.0.1", "4420"};
inline constexpr uint32_t kNsid = 5;
inline constexpr uint64_t kFileBytes = 8 << 20;
inline const std::string kHostId = "4d2f4b3a-9c7e-4f0a-8a55-0c1d2e3f4a5b";
inline const std::string kHostNqn = "nqn.2014-08.org.nvmexpress:uuid:" + kHostId;

/// A target on the loopback interface with one file. In the end, no controller may be left.
class InitiatorKernelTest : public testing::Test {
 protected:
    void SetUp() override;
    void TearDown() override;

    std::unique_ptr<Initiator> makeInitiator() const { return makeInitiator(options()); }
    static std::unique_ptr<Initiator> makeInitiator(const InitiatorOptions& options);
    static InitiatorOptions options();

    /// Makes a file of kFileBytes for a namespace.
    std::string makeBackingFile(const std::string& name) const;
    /// A folder of the test's own.
    std::string folder(const std::string& name) const;
    std::string backingFile() const { return dir_ + "/file"; }

    /// Opens a namespace for direct I/O, with a limit that no working kernel needs.
    static Result<RemoteNamespace> open(Initiator& initiator, const Connection& connection,
                                        uint32_t nsid = kNsid, uint64_t size = kFileBytes);

    std::unique_ptr<PlainTarget> target;

 private:
    std::string dir_;
    std::set<std::string> controllersBefore_;
};

/// The controllers in sysfs.
std::set<std::string> controllers();
std::string attribute(const std::string& controller, const std::string& name);
void deleteController(const std::string& name);

/// Connects as nvme-cli does, without the initiator part. @return the controller's name
std::string connectByHand(const PlainTarget& target, const std::string& hostNqn,
                          const std::string& hostId);

/// Waits until a condition holds, with a limit that no working kernel needs.
bool eventually(const std::function<bool()>& condition);

/// Writes a pattern through `fd` and finds it in `file`, and the other way round.
void exchangeData(int fd, const std::string& file, uint64_t seed);

}  // namespace initiator_test
