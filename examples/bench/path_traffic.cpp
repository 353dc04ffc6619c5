// SPDX-License-Identifier: Apache-2.0
#include "bench/path_traffic.h"

#include <algorithm>

namespace mooncake::bench {

std::vector<PathTraffic> pathTraffic(const std::vector<PathStats>& before,
                                     const std::vector<PathStats>& after) {
    std::vector<PathTraffic> all;
    for (const PathStats& now : after) {
        PathTraffic path{now, now.bytesRead, now.bytesWritten};
        const auto same = std::find_if(before.begin(), before.end(), [&](const PathStats& then) {
            return then.address == now.address && then.transport == now.transport &&
                   then.connects == now.connects;
        });
        if (same != before.end()) {
            path.bytesRead -= std::min(same->bytesRead, path.bytesRead);
            path.bytesWritten -= std::min(same->bytesWritten, path.bytesWritten);
        }
        all.push_back(path);
    }
    return all;
}

}  // namespace mooncake::bench
