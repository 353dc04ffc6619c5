// SPDX-License-Identifier: Apache-2.0
// The seven things this part asks of the kernel's asynchronous I/O, behind an interface, so that a
// test can let any of them fail, block or come late.
#pragma once

#include <libaio.h>

#include <ctime>
#include <memory>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic::io {

/// All results are a count or 0, or a negative errno value, as libaio gives them; errno is not
/// used. submit() and wake() may be called by several threads for one context; reap() and wait() by
/// one at a time.
class AioSyscalls {
 public:
    virtual ~AioSyscalls() = default;

    /// io_setup(2). @param entries  requests in flight that the context must hold
    virtual int setup(unsigned entries, io_context_t* context) = 0;

    /// io_destroy(2); waits for what is in flight.
    virtual void destroy(io_context_t context) = 0;

    /// io_submit(2). May block. @return how many of the first of `controls` were taken, or the
    /// error of the very first
    virtual int submit(io_context_t context, long count, iocb** controls) = 0;

    /// Takes completions that are already there; never waits. @return how many, at most `most`
    virtual int reap(io_context_t context, long most, io_event* events) = 0;

    /// Whether reap() would find something; a hint, which any thread may ask for.
    virtual bool hasEvents(io_context_t) { return true; }

    /// io_getevents(2) for at least one completion. @param limit  how long at most, null for ever
    virtual int wait(io_context_t context, long most, io_event* events, timespec* limit) = 0;

    /// Lets a wait() of `context` return, the present one or the next, with one event whose `data`
    /// is null.
    virtual int wake(io_context_t context) = 0;
};

/// The real ones. @return EMFILE or ENFILE without a descriptor for wake()
Result<std::unique_ptr<AioSyscalls>> makeKernelAio();

}  // namespace mooncake::nvmeof_generic::io
