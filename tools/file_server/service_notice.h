// SPDX-License-Identifier: Apache-2.0
// What a service tells the service manager that started it: sd_notify(3), its protocol.
#pragma once

#include <string>

namespace mooncake::file_server {

class ServiceNotice {
 public:
    /// @param socket  the value of NOTIFY_SOCKET: a path, or '@' and a name in the abstract
    ///     namespace; empty: nobody listens, and every call does nothing
    explicit ServiceNotice(std::string socket);

    /// For the variable as it is now, which is taken out of the environment: programs that this one
    /// starts do not speak for it.
    static ServiceNotice fromEnvironment();

    /// @param status  one line for people: systemctl status shows it
    void ready(const std::string& status);
    void reloading();
    void stopping();
    void status(const std::string& status);

 private:
    void send(const std::string& message);

    std::string socket_;
};

}  // namespace mooncake::file_server
