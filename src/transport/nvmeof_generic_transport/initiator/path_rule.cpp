// SPDX-License-Identifier: Apache-2.0
#include "path_rule.h"

#include <algorithm>
#include <cerrno>

namespace mooncake::nvmeof_generic {

std::string connectionKey(const std::string& subsystemNqn, const TransportAddresses& addresses) {
    std::vector<std::string> places;
    for (TransportAddress address : addresses) {
        address.traddr = canonicalAddress(address.traddr);
        places.push_back(" at " + toString(address));
    }
    std::sort(places.begin(), places.end());
    std::string key = subsystemNqn;
    for (const std::string& place : places) key += place;
    return key;
}

bool isAtOneOf(const ControllerInfo& controller, const TransportAddresses& addresses) {
    return std::any_of(addresses.begin(), addresses.end(),
                       [&](const auto& address) { return isAt(controller, address); });
}

bool isPath(const ControllerInfo& controller, const std::string& subsystemNqn,
            const TransportAddresses& addresses) {
    return controller.subsystemNqn == subsystemNqn && isAtOneOf(controller, addresses);
}

const ControllerInfo* findStranger(const std::vector<ControllerInfo>& controllers,
                                   const std::string& subsystemNqn,
                                   const TransportAddresses& addresses) {
    const auto found =
        std::find_if(controllers.begin(), controllers.end(), [&](const ControllerInfo& one) {
            return one.subsystemNqn == subsystemNqn && !isPath(one, subsystemNqn, addresses);
        });
    return found == controllers.end() ? nullptr : &*found;
}

Error strangerError(const ControllerInfo& stranger, const TransportAddresses& addresses) {
    const std::string there = stranger.traddr.empty()
                                  ? "at another address (" + stranger.trtype + ")"
                                  : "at trtype=" + stranger.trtype + " traddr=" + stranger.traddr +
                                        " trsvcid=" + stranger.trsvcid;
    return makeError(
        EADDRINUSE,
        "will not connect to " + stranger.subsystemNqn + " at " + toString(addresses.front()) +
            ": controller " + stranger.name + " of this machine has that NQN " + there,
        "the kernel would take the two for paths to the same disks. One of the two segments is not "
        "what it says: see which, and end the use of the wrong one, or remove " +
            stranger.name + " with nvme disconnect -d " + stranger.name);
}

}  // namespace mooncake::nvmeof_generic
