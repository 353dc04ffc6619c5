// SPDX-License-Identifier: Apache-2.0
#include "control_socket.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <future>

#include "service_signals.h"
#include "temp_dir.h"

namespace mooncake::file_server {
namespace {

using namespace std::chrono_literals;
using nvmeof_generic::TempDir;
using nvmeof_generic::UniqueFd;
using testing::HasSubstr;

class ControlSocketTest : public testing::Test {
 protected:
    std::unique_ptr<ControlSocket> listen() {
        auto made = ControlSocket::listen(path_);
        EXPECT_TRUE(made.ok()) << made.error().message;
        return made.ok() ? made.take() : nullptr;
    }
    std::future<Result<ReloadAnswer>> ask(std::chrono::milliseconds limit = 60s) {
        return std::async(std::launch::async, [this, limit] { return askForReload(path_, limit); });
    }
    UniqueFd connect() const {
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, path_.data(), path_.size());
        UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        return fd;
    }

    TempDir dir_;
    const std::string path_ = dir_.path() + "/control";
};

TEST_F(ControlSocketTest, AnswersWhenTheReloadIsOver) {
    const auto socket = listen();
    ServiceSignals signals;
    for (const ReloadAnswer& answer :
         {ReloadAnswer{kDone, "serving 2 of 2 files"}, ReloadAnswer{kFailed, "'/a': gone\nserving"},
          ReloadAnswer{kWrongConfig, "line 3"}, ReloadAnswer{kFailed, std::string(9999, 'x')},
          ReloadAnswer{kDone, ""}}) {
        auto asked = ask();
        ASSERT_EQ(signals.wait(socket->fd()), ServiceSignals::Request::kControl);
        const UniqueFd asker = socket->accept();
        ASSERT_TRUE(asker.valid());
        EXPECT_EQ(asked.wait_for(0s), std::future_status::timeout) << "it waits";
        ControlSocket::answer(asker, answer);
        const_cast<UniqueFd&>(asker).reset();
        const auto got = asked.get();
        ASSERT_TRUE(got.ok()) << got.error().message;
        EXPECT_EQ(got.value().status, answer.status);
        EXPECT_EQ(got.value().text, answer.text);
    }
}

TEST_F(ControlSocketTest, WhoSaysSomethingElseOrGoesIsNoReload) {
    const auto socket = listen();
    {
        const UniqueFd other = connect();
        ASSERT_EQ(send(other.get(), "GET / HTTP/1.1\n", 15, 0), 15);
        EXPECT_FALSE(socket->accept().valid());
    }
    connect().reset();
    EXPECT_FALSE(socket->accept().valid());
    {
        const UniqueFd silent = connect();
        EXPECT_FALSE(socket->accept().valid());
    }
    EXPECT_FALSE(socket->accept().valid()) << "nobody";
}

TEST_F(ControlSocketTest, TheOneWhoAskedHasGone) {
    const auto socket = listen();
    UniqueFd asker = connect();
    ASSERT_EQ(send(asker.get(), "reload\n", 7, 0), 7);
    const UniqueFd taken = socket->accept();
    ASSERT_TRUE(taken.valid());
    asker.reset();
    ControlSocket::answer(taken, {kDone, "nobody hears it"});
}

TEST_F(ControlSocketTest, WithoutADescriptorTheOneWhoAsksIsSentAway) {
    const auto socket = listen();
    for (int round = 0; round < 2; ++round) {
        const UniqueFd asker = connect();
        ASSERT_EQ(send(asker.get(), "reload\n", 7, 0), 7);
        rlimit before;
        ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        rlimit none = before;
        none.rlim_cur = static_cast<rlim_t>(UniqueFd(dup(asker.get())).get());
        ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        const bool taken = socket->accept().valid();
        ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        EXPECT_FALSE(taken);
        pollfd next = {socket->fd(), POLLIN, 0};
        EXPECT_EQ(poll(&next, 1, 0), 0) << "nobody waits any more";
    }
    auto asked = ask();
    ServiceSignals signals;
    ASSERT_EQ(signals.wait(socket->fd()), ServiceSignals::Request::kControl);
    EXPECT_TRUE(socket->accept().valid());
    EXPECT_EQ(asked.get().error().code, ECONNRESET);
}

TEST_F(ControlSocketTest, TheServerEndsMeanwhile) {
    auto socket = listen();
    auto asked = ask();
    ServiceSignals signals;
    ASSERT_EQ(signals.wait(socket->fd()), ServiceSignals::Request::kControl);
    socket->accept().reset();
    const auto got = asked.get();
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, ECONNRESET);
}

TEST_F(ControlSocketTest, AServerThatTakesTooLong) {
    const auto socket = listen();
    const auto got = askForReload(path_, 10ms);
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, ETIMEDOUT);
}

TEST_F(ControlSocketTest, OneServerAtAPathAndNoneAfterItsEnd) {
    {
        const auto socket = listen();
        struct stat info;
        ASSERT_EQ(stat(path_.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777u, 0600u);
        const auto second = ControlSocket::listen(path_);
        ASSERT_FALSE(second.ok());
        EXPECT_EQ(second.error().code, EADDRINUSE);
    }
    EXPECT_EQ(askForReload(path_, 60s).error().code, ENOENT);
    // What a killed one left.
    UniqueFd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path_.data(), path_.size());
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    dead.reset();
    EXPECT_EQ(askForReload(path_, 60s).error().code, ECONNREFUSED);
    EXPECT_NE(listen(), nullptr);
    EXPECT_EQ(ControlSocket::listen(dir_.path() + "/none/control").error().code, ENOENT);
    // Somebody else's file is not ours to replace.
    std::ofstream(path_) << "mine";
    EXPECT_FALSE(ControlSocket::listen(path_).ok());
}

}  // namespace
}  // namespace mooncake::file_server
