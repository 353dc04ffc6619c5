// SPDX-License-Identifier: Apache-2.0
#include "request_groups.h"

#include "own_of_thread.h"

namespace mooncake {

namespace {

// Requests; beyond that the memory is given back.
constexpr size_t kMostKept = 8192;

struct Tag;

}  // namespace

// The thread's own, unless a call further up has it (a transport may submit in turn) or the thread
// has destroyed it.
RequestGroups::Memory& RequestGroups::borrow() {
    Memory* const own = OwnOfThread<Memory, Tag>::get();
    return own == nullptr || own->lent ? further_.emplace() : *own;
}

RequestGroups::~RequestGroups() {
    size_t kept = memory_.group_of.capacity();
    for (Group& group : *this) {
        group.transport = nullptr;
        group.requests = 0;
        group.tasks.clear();
        kept += group.tasks.capacity();
    }
    memory_.group_of.clear();
    memory_.lent = false;
    if (kept > kMostKept) memory_ = Memory();
}

void RequestGroups::add(Transport* transport) {
    if (used_ == 0 || memory_.groups[last_].transport != transport) {
        last_ = 0;
        while (last_ < used_ && memory_.groups[last_].transport != transport) ++last_;
        if (last_ == used_) {
            if (used_ == memory_.groups.size()) memory_.groups.emplace_back();
            memory_.groups[used_++].transport = transport;
        }
    }
    memory_.group_of.push_back(static_cast<uint32_t>(last_));
    ++memory_.groups[last_].requests;
}

void RequestGroups::reserveTasks() {
    for (Group& group : *this) group.tasks.reserve(group.requests);
}

}  // namespace mooncake
