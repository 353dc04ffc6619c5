// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace test_support {

/// A limit of threads, as a container's pids.max is, for whoever calls pthread_create in this
/// program: one of those that are to come, or it and all after it, fail with EAGAIN. Lifted with
/// the object. One at a time.
class ThreadLimit {
 public:
    enum class Fails { kOne, kAllFrom };

    /// @param nth  1: the next thread that is started
    ThreadLimit(int nth, Fails fails);
    ~ThreadLimit();
    ThreadLimit(const ThreadLimit&) = delete;
    ThreadLimit& operator=(const ThreadLimit&) = delete;

    /// Whether any failed.
    bool reached() const;
};

}  // namespace test_support
