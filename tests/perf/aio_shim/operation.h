// SPDX-License-Identifier: Apache-2.0
// What a control block asks for.
#pragma once

#include <libaio.h>
#include <sys/uio.h>

namespace aio_shim {

inline bool isIo(const iocb& control) {
    return control.aio_lio_opcode != IO_CMD_POLL && control.aio_lio_opcode != IO_CMD_NOOP;
}

/// That it reads or writes.
inline unsigned long bytesOf(const iocb& control) {
    switch (control.aio_lio_opcode) {
        case IO_CMD_PREADV:
        case IO_CMD_PWRITEV: {
            const auto* const buffers = static_cast<const iovec*>(control.u.c.buf);
            unsigned long bytes = 0;
            for (unsigned long i = 0; i < control.u.c.nbytes; ++i) bytes += buffers[i].iov_len;
            return bytes;
        }
        case IO_CMD_FSYNC:
        case IO_CMD_FDSYNC:
            return 0;
        default:
            return control.u.c.nbytes;
    }
}

}  // namespace aio_shim
