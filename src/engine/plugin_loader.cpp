// SPDX-License-Identifier: Apache-2.0
#include "plugin_loader.h"

#include <dlfcn.h>
#include <glog/logging.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "transport/transport_plugin.h"

namespace mooncake {

namespace {

namespace fs = std::filesystem;

constexpr char kPathVariable[] = "MC_TRANSPORT_PLUGIN_PATH";

bool isProtocolName(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

Status findPlugin(const std::string& proto, const PluginPlaces& places, fs::path* file) {
    const std::string file_name = "libmooncake_transport_" + proto + ".so";
    std::vector<std::string> folders = places.folders;
    std::error_code error;
    if (!places.preferred.empty()) {
        // Absolute, since dlopen searches elsewhere for a name without a slash.
        const fs::path preferred = fs::absolute(places.preferred, error);
        const fs::file_status found = fs::status(preferred, error);
        if (!fs::exists(found)) {
            return Status::DeviceNotFound(std::string(kPathVariable) + " names '" +
                                          places.preferred +
                                          "', which cannot be used: " + error.message());
        }
        if (!fs::is_directory(found)) {
            *file = preferred;
            return Status::OK();
        }
        folders.insert(folders.begin(), preferred.string());
    }
    std::string tried;
    for (const std::string& folder : folders) {
        *file = fs::path(folder) / file_name;
        if (fs::exists(fs::status(*file, error))) return Status::OK();
        tried += (tried.empty() ? "" : ", ") + folder;
    }
    return Status::DeviceNotFound("no " + file_name + " in " + tried + "; set " + kPathVariable +
                                  " to the file or its folder");
}

std::string quoted(const char* text) {
    return text == nullptr ? "(none)" : "'" + std::string(text) + "'";
}

std::string hex(uint64_t value) {
    char text[24] = {};
    std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

// The first thing that keeps the engine from using a plugin, empty where there is none. A check may
// rely on those before it: without the magic the rest of the description means nothing.
std::string refusal(const TransportPlugin* plugin, const std::string& proto) {
    if (plugin == nullptr) return "it has no description";
    if (plugin->magic != kTransportPluginMagic) {
        return "it is not a transport plugin: its magic is " + hex(plugin->magic) + ", not " +
               hex(kTransportPluginMagic);
    }
    if (plugin->abi_major != kTransportPluginAbiMajor) {
        return "it has plugin ABI version " + std::to_string(plugin->abi_major) + "." +
               std::to_string(plugin->abi_minor) + ", this engine has " +
               std::to_string(kTransportPluginAbiMajor) + "." +
               std::to_string(kTransportPluginAbiMinor) +
               "; use the plugin that belongs to this engine";
    }
    const char* fingerprint = plugin->engine_fingerprint;
    if (fingerprint == nullptr || std::strcmp(fingerprint, transportEngineFingerprint()) != 0) {
        return "it was built for another engine: it has " + quoted(fingerprint) +
               ", this engine has " + quoted(transportEngineFingerprint()) +
               "; build both from the same sources with the same options";
    }
    if (plugin->plugin_name == nullptr || plugin->plugin_version == nullptr ||
        plugin->create == nullptr || plugin->destroy == nullptr) {
        return "its description lacks a name, a version, create or destroy";
    }
    if (plugin->plugin_name != proto) {
        return "it holds the transport " + quoted(plugin->plugin_name) + ", not '" + proto + "'";
    }
    return "";
}

}  // namespace

PluginPlaces defaultPluginPlaces() {
    PluginPlaces places;
    // Not in a set-user-id program: the variable is its caller's.
    if (const char* path = secure_getenv(kPathVariable)) places.preferred = path;
    Dl_info info = {};
    if (dladdr(reinterpret_cast<void*>(&defaultPluginPlaces), &info) != 0 && info.dli_fname) {
        std::error_code error;
        const fs::path library = fs::canonical(info.dli_fname, error);
        if (!error) {
            const fs::path folder = library.parent_path();
            places.folders.push_back(folder.string());
            // An installation may be moved as a whole; the path below stays where it was
            // configured.
            places.folders.push_back((folder / "mooncake" / "plugins").string());
        }
    }
    auto& folders = places.folders;
#ifdef MOONCAKE_PLUGIN_FOLDER
    folders.emplace_back(MOONCAKE_PLUGIN_FOLDER);
#endif
    if (folders.size() > 1 && folders[folders.size() - 2] == folders.back()) folders.pop_back();
    return places;
}

Status loadTransport(const std::string& proto, const PluginPlaces& places,
                     std::shared_ptr<Transport>* transport) {
    if (!isProtocolName(proto)) {
        return Status::InvalidArgument(
            "a protocol is a name of 1 to 64 letters, digits and underscores");
    }
    fs::path file;
    Status status = findPlugin(proto, places, &file);
    if (!status.ok()) return status;
    const auto refuse = [&file](const std::string& why) {
        return Status::NotSupportedTransport("the plugin '" + file.string() +
                                             "' cannot be used: " + why);
    };
    dlerror();
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        const char* error = dlerror();
        const std::string why = error != nullptr ? error : "dlopen failed";
        const bool foreign = why.find("undefined symbol: _ZN") != std::string::npos &&
                             why.find("8mooncake") != std::string::npos;
        return refuse(why + (foreign ? "; it was built for another engine, or for one whose "
                                       "symbols this program hides: build it for this engine"
                                     : ""));
    }
    std::shared_ptr<void> library(handle, [](void* h) { dlclose(h); });
    void* symbol = dlsym(handle, kTransportPluginSymbol);
    if (symbol == nullptr) {
        return refuse(std::string("it is not a transport plugin: it has no symbol ") +
                      kTransportPluginSymbol);
    }
    const TransportPlugin* plugin = reinterpret_cast<TransportPluginFunction>(symbol)();
    if (const std::string why = refusal(plugin, proto); !why.empty()) return refuse(why);

    Transport* instance = plugin->create();
    if (instance == nullptr) {
        return refuse(quoted(plugin->plugin_name) + " version " + quoted(plugin->plugin_version) +
                      " made no instance; see the log above");
    }
    transport->reset(instance, [library, destroy = plugin->destroy](Transport* t) { destroy(t); });
    LOG(INFO) << "Loaded transport " << proto << " version " << plugin->plugin_version << " from "
              << file.string();
    return Status::OK();
}

}  // namespace mooncake
