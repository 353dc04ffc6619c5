// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace mooncake {

// What a transport is, beside Transport, if the threads that ask for the state of transfers can do
// a part of its work: then no thread of its own has to be woken for each completion. An engine that
// knows this interface finds it with dynamic_cast; with one that does not, the transport works by
// itself.
//
// Thread rule: enableProgress is called once, before the first request; the others from any thread
// at any time until the transport is destroyed. None of them throws.
class ProgressSource {
 public:
    virtual ~ProgressSource() = default;

    // From now on the engine calls progress() or waitForProgress() whenever somebody asks for a
    // transfer that has not ended.
    virtual void enableProgress() = 0;

    // Ends transfers that are over. Never waits. Returns whether there was one.
    virtual bool progress() = 0;

    // Waits until there is one, `limit` at most, without using a processor. May return early
    // without any. Returns whether there may have been one since the calling thread's last call;
    // with a limit of 0 that alone is asked.
    virtual bool waitForProgress(std::chrono::nanoseconds limit) = 0;
};

}  // namespace mooncake
