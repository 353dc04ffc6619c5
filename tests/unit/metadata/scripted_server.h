// SPDX-License-Identifier: Apache-2.0
// A TCP server that answers each connection as the test says, well-behaved or not.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>

namespace mooncake::test {

class ScriptedServer {
 public:
    // Serves one connection at a time; the connection is closed when `answer` returns.
    explicit ScriptedServer(std::function<void(int fd)> answer) : answer_(std::move(answer)) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(listener_, 16), 0);
        EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] {
            for (;;) {
                const int fd = accept(listener_, nullptr, nullptr);
                if (fd < 0) return;
                answer_(fd);
                close(fd);
            }
        });
    }
    ~ScriptedServer() {
        shutdown(listener_, SHUT_RDWR);  // wakes accept
        thread_.join();
        close(listener_);
    }

    int port() const { return port_; }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/metadata"; }

    // The request up to the end of its header, and its body if it gives its length; empty if there
    // is none.
    static std::string receiveRequest(int fd) {
        std::string text;
        char buffer[4096];
        for (;;) {
            const size_t end = text.find("\r\n\r\n");
            if (end != std::string::npos) {
                const size_t length = text.find("Content-Length: ");
                const size_t body =
                    length == std::string::npos ? 0 : std::stoul(text.substr(length + 16));
                if (text.size() >= end + 4 + body) return text;
            }
            const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
            if (got <= 0) return text;
            text.append(buffer, static_cast<size_t>(got));
        }
    }
    // False once the other side has gone.
    static bool sendText(int fd, const std::string& text) {
        return send(fd, text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size());
    }
    // Returns when the other side closes the connection.
    static void waitForClose(int fd) {
        // Who should have given up by then is told so by the end of the connection.
        const timeval limit{20, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        char buffer[4096];
        while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
        }
    }

 private:
    const std::function<void(int)> answer_;
    int listener_ = -1;
    int port_ = 0;
    std::thread thread_;
};

}  // namespace mooncake::test
