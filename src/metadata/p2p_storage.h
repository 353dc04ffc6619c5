// SPDX-License-Identifier: Apache-2.0
// Metadata without a server (P2PHANDSHAKE): each node keeps its own descriptor and is asked for it
// at the address that is its name.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "endpoints.h"
#include "metadata_storage.h"
#include "p2p_listener.h"
#include "store_retry.h"

namespace mooncake {

// Keys are those of MetadataKeys; the name in them is the node's address, host:port. Addresses of
// nodes (rpc_meta) are not asked for: the name says them.
class P2pStorage : public MetadataStorage {
 public:
    explicit P2pStorage(const StoreLimits& limits) : limits_(limits) {}

    // Asks the node; one's own descriptor is at hand.
    Result get(const std::string& key, std::string* value) override;
    // Makes `value` what this node answers from now on. kRefused where a message cannot hold it.
    Result set(const std::string& key, const std::string& value) override;
    Result remove(const std::string& key) override;
    Result exchange(const std::string& key, const Entry& expected, const Entry& desired,
                    Entry* found) override;
    Result listen(const std::string& host, uint16_t* port) override;
    bool outlivesProcess() const override { return false; }

 private:
    std::shared_ptr<const std::string> answer(P2pType type) const;
    StoreAttempt ask(const StoreEndpoint& node, std::chrono::milliseconds time,
                     std::string* value) const;

    const StoreLimits limits_;
    mutable std::mutex mutex_;  // of the next four; held for copies only
    std::string own_key_;
    std::string own_text_;
    std::shared_ptr<const std::string> own_frame_;  // the text, as others get it; null without one
    std::string own_address_;
    std::mutex listen_mutex_;
    std::unique_ptr<P2pListener> listener_;  // the last member: its thread uses the others
};

}  // namespace mooncake
