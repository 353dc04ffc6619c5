// SPDX-License-Identifier: Apache-2.0
// How the requests of one call are divided among transports: each is called once, with all its
// tasks.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "line_allocator.h"
#include "transport/transport.h"

namespace mooncake {

// Uses memory that the thread keeps for its next call. On the stack only.
class RequestGroups {
 public:
    struct Group {
        Transport* transport = nullptr;
        size_t requests = 0;
        std::vector<Transport::TransferTask*> tasks;
    };

    RequestGroups() : memory_(borrow()) { memory_.lent = true; }
    ~RequestGroups();
    RequestGroups(const RequestGroups&) = delete;
    RequestGroups& operator=(const RequestGroups&) = delete;

    // Those in use, in the order of their first requests.
    Group* begin() { return memory_.groups.data(); }
    Group* end() { return memory_.groups.data() + used_; }

    // Puts the next request of the call into the group of a transport. Throws std::bad_alloc.
    void add(Transport* transport);
    // After the last add(). Afterwards addTask() needs no memory. Throws std::bad_alloc.
    void reserveTasks();
    // The task of the next request, in the order of add().
    void addTask(Transport::TransferTask* task) {
        memory_.groups[memory_.group_of[next_task_++]].tasks.push_back(task);
    }

 private:
    struct Memory {
        std::vector<Group, LineAllocator<Group>> groups;
        std::vector<uint32_t, LineAllocator<uint32_t>> group_of;  // each request
        bool lent = false;
    };
    Memory& borrow();

    std::optional<Memory> further_;  // where the thread's own cannot be had
    Memory& memory_;
    size_t used_ = 0;
    size_t last_ = 0;  // the group of the last request
    size_t next_task_ = 0;
};

}  // namespace mooncake
