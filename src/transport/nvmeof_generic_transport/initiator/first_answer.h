// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>

#include "path.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Asks all paths at the same time, so that one that is silent costs nothing.
/// @param paths  one or more
/// @param ask  as Fabrics::probe(); called on threads that end before the call does, or, where
///     there is none to be had, on this one
/// @param turn  which of those that cannot be asked (RDMA) is taken where none answers within a
///     second: nothing else tells whether it works
/// @return the first that answers; where none does, the error of one that has something against
/// this host (ENOKEY, EKEYREJECTED, EPROTONOSUPPORT), else the first path's; ECANCELED
Result<Path> firstThatAnswers(
    const Paths& paths,
    const std::function<Result<bool>(const Path& path, const std::stop_token& stop)>& ask,
    const std::stop_token& stop, size_t turn);

}  // namespace mooncake::nvmeof_generic
