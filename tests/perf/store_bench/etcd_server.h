// SPDX-License-Identifier: Apache-2.0
// etcd itself, without the store's directory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace mooncake::store_bench {

// Throws where it does not answer.
class EtcdServer {
 public:
    // @param address  etcd://host:port
    explicit EtcdServer(const std::string& address);
    ~EtcdServer();

    // One transaction that puts so many keys of 100 bytes with values of 50.
    void putKeys(uint64_t first, size_t count);
    // The database's bytes when its history has been dropped and its free pages given back.
    uint64_t bytesAfterCompaction();

 private:
    struct Stubs;
    const std::unique_ptr<Stubs> stubs_;
    int64_t revision_ = 0;
};

}  // namespace mooncake::store_bench
