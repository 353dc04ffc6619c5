// SPDX-License-Identifier: Apache-2.0
// The object behind Python's MooncakeDistributedStore: which session it has, if any.
#pragma once

#include <memory>
#include <optional>

#include "session.h"

namespace mooncake::python {

// Thread rule: by threads that have the GIL, which guards all of it.
class Store {
 public:
    Store();
    // close(). A child of the process that has set it up touches nothing.
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    // 0 or a negative code. INVALID_PARAMS also where it is set up already.
    int setup(const SetupRequest& request);
    // Waits for the calls of other threads. 0, also where there is nothing to close.
    int close();

    // Null before setup(), after close(), and in a forked child.
    std::shared_ptr<Session> session();

    // At the end of the interpreter: closes every store, lets none be set up any more, and returns
    // when all threads have come back from their calls.
    static void closeAll();

 private:
    std::shared_ptr<Session> session_;
    std::optional<unsigned> setting_up_;  // in which process
};

}  // namespace mooncake::python
