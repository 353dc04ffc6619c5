// SPDX-License-Identifier: Apache-2.0
// Lets Python's other threads run while this one waits.
#pragma once

#include <Python.h>

namespace mooncake::python {

// Gives the GIL back, and takes it again at its end. All that waits does so under one.
//
// Thread rule: made and destroyed by a thread that has the GIL.
class Unlocked {
 public:
    Unlocked() {
        ++threads_;
        state_ = PyEval_SaveThread();
    }
    ~Unlocked() {
        PyEval_RestoreThread(state_);
        --threads_;
    }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

    // Waits until no other thread is under one. A thread that comes back into an interpreter that
    // ends is unwound by it, and C++ ends the process for that: so nobody may be out then.
    static void awaitAll();

    // In a forked child, where those threads are not.
    static void forget() { threads_ = 0; }

 private:
    static inline long threads_ = 0;  // the GIL guards it
    PyThreadState* state_;
};

}  // namespace mooncake::python
