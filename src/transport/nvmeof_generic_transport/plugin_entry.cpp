// SPDX-License-Identifier: Apache-2.0
// The one symbol that the plugin exports.
#include <glog/logging.h>

#include <exception>

#include "transport/nvmeof_generic_transport/nvmeof_transport.h"
#include "transport/transport_plugin.h"

namespace {

mooncake::Transport* create() {
    try {
        return new mooncake::NVMeoFGenericTransport();
    } catch (const std::exception& error) {
        LOG(ERROR) << "nvmeof_generic: no transport could be made: " << error.what();
        return nullptr;
    }
}

void destroy(mooncake::Transport* transport) {
    delete transport;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const mooncake::TransportPlugin*
mooncake_transport_plugin() {
    static const mooncake::TransportPlugin plugin = {
        mooncake::kTransportPluginMagic,
        mooncake::kTransportPluginAbiMajor,
        mooncake::kTransportPluginAbiMinor,
        "nvmeof_generic",
        NVMEOF_GENERIC_VERSION,
        mooncake::transportEngineFingerprint(),
        create,
        destroy,
    };
    return &plugin;
}
