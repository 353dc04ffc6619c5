// SPDX-License-Identifier: Apache-2.0
// Finds, checks and loads the shared library that holds a transport (see
// transport/transport_plugin.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "transport/transport.h"

namespace mooncake {

// Where plugins are looked for. Nothing but the one file asked for is ever loaded.
struct PluginPlaces {
    // A plugin's file, or a folder that is looked into first; empty for none.
    std::string preferred;
    // Looked into after it, in this order.
    std::vector<std::string> folders;
};

// MC_TRANSPORT_PLUGIN_PATH, then the folder of the engine's library (or of the program it is linked
// into), then the installation's plugin folder.
PluginPlaces defaultPluginPlaces();

// Makes an instance of the protocol's transport, not yet installed. InvalidArgument for a protocol
// that is no name of letters, digits and underscores, DeviceNotFound where there is no such plugin,
// NotSupportedTransport for a file that cannot be used; the message names the places or the file
// and what differs. The instance ends through the plugin's own `destroy`, and its library stays
// loaded as long as an instance lives. Thread-safe.
Status loadTransport(const std::string& proto, const PluginPlaces& places,
                     std::shared_ptr<Transport>* transport);

}  // namespace mooncake
