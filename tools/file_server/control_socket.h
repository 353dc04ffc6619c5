// SPDX-License-Identifier: Apache-2.0
// How a reload that waits for its end reaches the server: a local socket in a folder of the
// server's own. Who may connect is who may write there.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "config_sections.h"
#include "exit_status.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::file_server {

/// How a reload went.
struct ReloadAnswer {
    ExitStatus status = kDone;
    std::string text;  ///< for people; may have several lines
};

class ControlSocket {
 public:
    /// Listens. A socket that a dead server left at the path is replaced.
    /// @return EADDRINUSE (a server listens there), ENAMETOOLONG, ENOENT, EACCES ...
    static Result<std::unique_ptr<ControlSocket>> listen(const std::string& path);
    /// Takes the socket away.
    ~ControlSocket();
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;

    /// To wait at: there is something to read when somebody asks.
    int fd() const { return fd_.get(); }

    /// Takes one who asks. Waits a second at most for what he has to say.
    /// @return not valid where nobody asks for a reload. Without a descriptor for him he is sent
    ///         away, else fd() would be ready for ever.
    nvmeof_generic::UniqueFd accept();
    /// Never waits: who does not listen gets no answer.
    static void answer(const nvmeof_generic::UniqueFd& asker, const ReloadAnswer& answer);

 private:
    ControlSocket(std::string path, nvmeof_generic::UniqueFd fd);

    const std::string path_;
    const nvmeof_generic::UniqueFd fd_;
    nvmeof_generic::UniqueFd spare_;  // makes room to send somebody away
};

/// Has the server at a control socket reload, and waits for its answer.
/// @return ENOENT, ECONNREFUSED (no server runs), ETIMEDOUT, ECONNRESET (it ended meanwhile) ...
Result<ReloadAnswer> askForReload(const std::string& path, std::chrono::milliseconds limit);

}  // namespace mooncake::file_server
