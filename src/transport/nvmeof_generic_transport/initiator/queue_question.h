// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <thread>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"

namespace mooncake::nvmeof_generic {

/// Asks the I/O queues of one controller (Fabrics::provokeIoAnswers()) on a thread of its own:
/// where a queue is full, who asks is held by the kernel until there is a place. One thread at a
/// time; not thread-safe itself.
class QueueQuestion {
 public:
    QueueQuestion() = default;
    /// Waits a moment for the thread. One that the kernel still holds is left behind, with all that
    /// it uses; it ends with the controller.
    ~QueueQuestion();
    QueueQuestion(const QueueQuestion&) = delete;
    QueueQuestion& operator=(const QueueQuestion&) = delete;

    /// Asks, and waits for some seconds; or looks what has become of an earlier call's question
    /// that had no end.
    /// @return whether all have been asked; also true where no thread can be had
    bool ask(const std::shared_ptr<Fabrics>& fabrics, int controllerDir,
             const std::shared_ptr<const UniqueFd>& device);

 private:
    struct State;

    // Of the question under way.
    std::shared_ptr<State> state_;
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
