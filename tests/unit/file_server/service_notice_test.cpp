// SPDX-License-Identifier: Apache-2.0
#include "service_notice.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "temp_dir.h"

namespace mooncake::file_server {
namespace {

using nvmeof_generic::TempDir;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// The service manager's end.
class Manager {
 public:
    explicit Manager(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, name.data(), name.size());
        if (name[0] == '@') address.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0) << strerror(errno);
    }
    ~Manager() { close(fd_); }

    std::string next() const {
        char buffer[4096];
        const ssize_t got = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
        return got < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(got));
    }

 private:
    const int fd_;
};

TEST(ServiceNotice, SpeaksTheProtocol) {
    TempDir dir;
    for (const std::string& name :
         {dir.path() + "/notify", "@file-server-test-" + std::to_string(getpid())}) {
        Manager manager(name);
        setenv("NOTIFY_SOCKET", name.c_str(), 1);
        ServiceNotice notice = ServiceNotice::fromEnvironment();
        EXPECT_EQ(getenv("NOTIFY_SOCKET"), nullptr);
        notice.status("coming");
        EXPECT_EQ(manager.next(), "STATUS=coming");
        notice.ready("2 files\nSTOPPING=1");
        EXPECT_EQ(manager.next(), "READY=1\nSTATUS=2 files STOPPING=1");
        notice.reloading();
        EXPECT_THAT(manager.next(),
                    AllOf(StartsWith("RELOADING=1\n"), HasSubstr("MONOTONIC_USEC=")));
        notice.stopping();
        EXPECT_THAT(manager.next(), StartsWith("STOPPING=1\n"));
        EXPECT_EQ(manager.next(), "nothing");
    }
}

TEST(ServiceNotice, NobodyListens) {
    for (const std::string& name : {std::string(), std::string("@"), std::string("relative"),
                                    std::string("/no/such/socket"), "/" + std::string(200, 'x')}) {
        ServiceNotice notice(name);
        notice.ready("x");
    }
}

}  // namespace
}  // namespace mooncake::file_server
