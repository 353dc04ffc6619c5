// SPDX-License-Identifier: Apache-2.0
// Real metadata servers for the tests, each in a process of its own on a free port of loopback.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "child_process.h"
#include "metadata_storage.h"

namespace mooncake::test {

// A port of 127.0.0.1 that nothing listens on at the moment.
uint16_t freePort();

class StoreServer {
 public:
    virtual ~StoreServer();

    // Starts it, again under the address it had, and waits until it answers.
    void start();
    // As a power cut does it.
    void kill();
    // It neither answers nor refuses until it resumes.
    void pause() { process_->pause(); }
    void resume() { process_->signal(SIGCONT); }
    // Forgets what it holds with the next start.
    virtual void wipe() {}

    virtual std::string connString() const = 0;
    uint16_t port() const { return port_; }
    // With short limits.
    std::shared_ptr<MetadataStorage> storage() const;

 protected:
    StoreServer();
    virtual std::unique_ptr<test_support::ChildProcess> spawn() = 0;

    std::string folder_;
    uint16_t port_ = 0;
    std::unique_ptr<test_support::ChildProcess> process_;
};

class HttpServer : public StoreServer {
 public:
    ~HttpServer() override { kill(); }
    std::string connString() const override;

 private:
    std::unique_ptr<test_support::ChildProcess> spawn() override;
};

class EtcdServer : public StoreServer {
 public:
    // `scheme` is http or https; `options` are added to its own.
    explicit EtcdServer(std::string scheme = "http", std::vector<std::string> options = {})
        : scheme_(std::move(scheme)), options_(std::move(options)) {}
    ~EtcdServer() override { kill(); }
    void wipe() override;
    // Keeps what it holds; while it is down.
    void save() const;
    // Set back to that with the next start.
    void restore() const;
    std::string connString() const override;
    std::string url() const { return scheme_ + "://127.0.0.1:" + std::to_string(port_); }

 private:
    std::unique_ptr<test_support::ChildProcess> spawn() override;
    const std::string scheme_;
    const std::vector<std::string> options_;
};

class RedisServer : public StoreServer {
 public:
    explicit RedisServer(std::vector<std::string> options = {}) : options_(std::move(options)) {}
    ~RedisServer() override { kill(); }
    std::string connString() const override;

 private:
    std::unique_ptr<test_support::ChildProcess> spawn() override;
    const std::vector<std::string> options_;
};

// Limits that make a failure quick and leave a loaded machine time to answer.
StoreLimits testLimits();

}  // namespace mooncake::test
