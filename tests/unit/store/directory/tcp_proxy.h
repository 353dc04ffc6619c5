// SPDX-License-Identifier: Apache-2.0
// Stands between a client and its server, and keeps what they say for itself when told to.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace mooncake::store::test {

class TcpProxy {
 public:
    // @param server  a port of 127.0.0.1; 0: nobody ever answers
    explicit TcpProxy(uint16_t server) : server_(server) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(listener_, 64), 0);
        EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
        port_ = ntohs(address.sin_port);
        wake_ = eventfd(0, EFD_CLOEXEC);
        thread_ = std::thread([this] { run(); });
    }
    ~TcpProxy() {
        stopping_ = true;
        poke();
        thread_.join();
        close(listener_);
        close(wake_);
    }
    TcpProxy(const TcpProxy&) = delete;
    TcpProxy& operator=(const TcpProxy&) = delete;

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    // What the server says from now on is lost.
    void swallowAnswers() { swallowing_ = true; }
    // The same from the request on that holds `text`.
    void swallowAnswersTo(const std::string& text) {
        const std::lock_guard lock(mutex_);
        trigger_ = text;
    }
    bool swallows() const { return swallowing_; }
    // The request that holds `text`, and what comes after it, does not get to the server.
    void swallowRequestsFrom(const std::string& text) {
        const std::lock_guard lock(mutex_);
        request_trigger_ = text;
    }
    bool swallowsRequests() const { return swallowing_requests_; }
    // Every answer takes that long.
    void delayAnswers(std::chrono::milliseconds delay) { delay_ = delay; }
    // The connections break, and new ones do not work until it is up again.
    void setDown(bool is_down) {
        is_down_ = is_down;
        cut();
    }
    // The connections break, and new ones work.
    void cut() {
        swallowing_ = swallowing_requests_ = false;
        cutting_ = true;
        poke();
    }

 private:
    struct Pair {
        int client;
        int server;
    };

    static sockaddr_in loopback(uint16_t port) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        return address;
    }
    void poke() {
        const uint64_t one = 1;
        EXPECT_EQ(write(wake_, &one, sizeof(one)), ssize_t{sizeof(one)});
    }
    static void drop(const Pair& pair) {
        close(pair.client);
        if (pair.server >= 0) close(pair.server);
    }
    void take() {
        Pair pair{accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), -1};
        if (pair.client < 0) return;
        if (is_down_) {
            drop(pair);
            return;
        }
        if (server_ != 0) {
            pair.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            const sockaddr_in address = loopback(server_);
            if (connect(pair.server, reinterpret_cast<const sockaddr*>(&address),
                        sizeof(address)) != 0) {
                drop(pair);
                return;
            }
        }
        pairs_.push_back(pair);
    }
    void look(std::string_view request) {
        const std::lock_guard lock(mutex_);
        const auto triggers = [&](std::string* text) {
            if (text->empty() || request.find(*text) == std::string_view::npos) return false;
            text->clear();
            return true;
        };
        if (triggers(&trigger_)) swallowing_ = true;
        if (triggers(&request_trigger_)) swallowing_requests_ = true;
    }
    // @return false at the end
    bool forward(int from, int to, bool is_request) {
        char buffer[65536];
        const ssize_t got = recv(from, buffer, sizeof(buffer), 0);
        if (got <= 0) return false;
        if (is_request) look({buffer, static_cast<size_t>(got)});
        if (is_request && swallowing_requests_) to = -1;
        if (!is_request) std::this_thread::sleep_for(delay_.load());
        for (ssize_t sent = 0; to >= 0 && sent < got;) {
            const ssize_t now =
                send(to, buffer + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
            if (now <= 0) return false;
            sent += now;
        }
        return true;
    }
    void run() {
        while (!stopping_) {
            std::vector<pollfd> waits = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
            for (const Pair& pair : pairs_) {
                waits.push_back({pair.client, POLLIN, 0});
                waits.push_back({pair.server, POLLIN, 0});  // poll() passes over -1
            }
            poll(waits.data(), waits.size(), -1);
            uint64_t count = 0;
            if (waits[0].revents != 0) {
                EXPECT_GT(read(wake_, &count, sizeof(count)), 0);
            }
            std::vector<Pair> left;
            const bool cut = cutting_.exchange(false);
            for (size_t i = 0; i < pairs_.size(); ++i) {
                const Pair pair = pairs_[i];
                const bool alive =
                    !cut &&
                    (waits[2 + 2 * i].revents == 0 || forward(pair.client, pair.server, true)) &&
                    (waits[3 + 2 * i].revents == 0 ||
                     forward(pair.server, swallowing_ ? -1 : pair.client, false));
                if (alive) {
                    left.push_back(pair);
                } else {
                    drop(pair);
                }
            }
            pairs_ = std::move(left);
            if (waits[1].revents != 0) take();
        }
        for (const Pair& pair : pairs_) drop(pair);
    }

    const uint16_t server_;
    int listener_ = -1;
    int wake_ = -1;
    uint16_t port_ = 0;
    std::atomic<bool> stopping_{false}, swallowing_{false}, swallowing_requests_{false},
        cutting_{false}, is_down_{false};
    std::atomic<std::chrono::milliseconds> delay_{std::chrono::milliseconds(0)};
    std::mutex mutex_;
    std::string trigger_, request_trigger_;  // guarded by mutex_; empty: none
    std::vector<Pair> pairs_;                // of the thread alone
    std::thread thread_;
};

}  // namespace mooncake::store::test
