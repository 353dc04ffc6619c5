// SPDX-License-Identifier: Apache-2.0
// The I/O queues of a controller: who uses which, and a question to one of them.
#pragma once

#include <sched.h>

#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// For each I/O queue, the processors whose I/O the kernel sends over it (blk-mq's cpu_list). Only
/// those on which the calling thread may run, and only queues that have such: this process has no
/// I/O on the others.
/// @param controllerDir  its opened folder in sysfs
/// @return ENOENT when it has no namespace
Result<std::vector<cpu_set_t>> ioQueueProcessors(int controllerDir);

/// Sends a command that no disk is needed for over the I/O queue of the processor on which the
/// caller runs, and gives it half a second: if it goes unanswered, the kernel (which looks at its
/// time limits once a second) takes the connection for lost. Blocks as long as the queue is full.
/// @param device  the block device of one of the controller's namespaces
void provokeQueueAnswer(int device);

}  // namespace mooncake::nvmeof_generic
