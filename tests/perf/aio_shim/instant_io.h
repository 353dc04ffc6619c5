// SPDX-License-Identifier: Apache-2.0
// A kernel whose I/O takes no time: the same functions with the same results as libaio's, over a
// completion ring of the same layout, since programs read that themselves.
#pragma once

#include <libaio.h>

#include <ctime>

namespace aio_shim::instant {

int setup(int entries, io_context_t* context);
int destroy(io_context_t context);
int submit(io_context_t context, long count, iocb** controls);
int getEvents(io_context_t context, long least, long most, io_event* events, const timespec* limit);

}  // namespace aio_shim::instant
