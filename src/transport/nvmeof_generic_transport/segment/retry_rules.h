// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>

namespace mooncake::nvmeof_generic {

/// Whether the same request can succeed later: the way to the target failed, or its answer did.
/// What is wrong with the request, the file or the permission stays wrong.
///
/// Which requests may be repeated is another question. A read always may. A write only as long as
/// it was not handed to the kernel: the outcome of one that failed is unknown, the target may still
/// carry it out, and a second one could then undo what was written in between.
constexpr bool canPass(int error) {
    switch (error) {
        case EIO:
        case EAGAIN:
        case EBUSY:
        case ECANCELED:
        case ECONNABORTED:
        case ECONNREFUSED:
        case ECONNRESET:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENETDOWN:
        case ENETUNREACH:
        case ENODATA:
        case ENODEV:
        case ENOLINK:
        case ENOSPC:
        case ENXIO:
        case EPIPE:
        case EPROTO:
        case EREMOTEIO:
        case ETIMEDOUT:
            return true;
        default:
            return false;
    }
}

/// Whether a namespace that is gone gives this error; others may give it as well: ENODATA comes
/// from a bad sector, ENOSPC from a full disk. EOPNOTSUPP is the target's answer (Invalid
/// Namespace, drivers/nvme/host/core.c nvme_error_status) for as long as this kernel has not heard
/// of it yet; the others come from the device that it has removed.
constexpr bool canMeanGone(int error) {
    return error == EOPNOTSUPP || error == ENODATA || error == ENOSPC || error == ENODEV ||
           error == ENXIO;
}

}  // namespace mooncake::nvmeof_generic
