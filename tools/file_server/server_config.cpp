// SPDX-License-Identifier: Apache-2.0
#include "server_config.h"

#include <limits.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>

#include "metadata_keys.h"
#include "metadata_storage.h"
#include "transport/nvmeof_generic_transport/common/advertised_address.h"
#include "transport/nvmeof_generic_transport/common/guarded_file.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

namespace {

using nvmeof_generic::makeError;
using nvmeof_generic::PathCheck;

constexpr size_t kMaxConfigBytes = size_t{8} << 20;
constexpr size_t kMaxFiles = 1024;  // namespaces of a subsystem, in the kernel
constexpr std::string_view kFileSection = "file ";

// A setter says in its error what is wrong with the value.
using Setter = std::function<Result<>(const std::string&)>;
using Setters = std::map<std::string_view, Setter>;

Result<> wrong(const std::string& what) {
    return Error{EINVAL, what};
}

Result<> expected(const std::string& what) {
    return wrong("expected " + what);
}

Result<> takeSwitch(const std::string& value, bool& flag) {
    if (value != "yes" && value != "no") return expected("yes or no");
    flag = value == "yes";
    return {};
}

Result<> takeSize(const std::string& value, std::optional<uint64_t>& size) {
    constexpr std::string_view kUnits = "KMGT";
    uint64_t number = 0;
    const char* const end = value.data() + value.size();
    const auto [rest, error] = std::from_chars(value.data(), end, number);
    const size_t unit = rest == end ? 0 : kUnits.find(*rest) + 1;
    const bool known = rest == end || (rest + 1 == end && unit != 0);
    if (error != std::errc() || !known || number == 0 || number > (UINT64_MAX >> (10 * unit))) {
        return expected("bytes above 0, with K, M, G or T behind for powers of 1024");
    }
    size = number << (10 * unit);
    return {};
}

Result<> takeId(const std::string& value, std::optional<FileBufferID>& id) {
    FileBufferID number = 0;
    const char* const end = value.data() + value.size();
    const auto [rest, error] = std::from_chars(value.data(), end, number);
    if (error != std::errc() || rest != end || number == 0 ||
        number > TransferEngine::kMaxChosenFileID) {
        return expected("a whole number from 1 to " +
                        std::to_string(TransferEngine::kMaxChosenFileID));
    }
    id = number;
    return {};
}

Result<> takePath(const std::string& value, std::string& path) {
    // Blanks part the arguments of the transport.
    if (value[0] != '/' || value.size() >= PATH_MAX ||
        value.find_first_of(" \t") != std::string::npos) {
        return expected("an absolute path without blanks");
    }
    path = value;
    return {};
}

Result<> takeMount(const std::string& value, const std::string& file, std::string& mount) {
    mount = std::filesystem::path(value).lexically_normal().string();
    while (mount.size() > 1 && mount.ends_with('/')) mount.pop_back();
    if (!mount.starts_with('/') || !file.starts_with(mount == "/" ? mount : mount + "/")) {
        return expected("a folder above the file");
    }
    return {};
}

Result<> takeHosts(const std::string& value, std::vector<std::string>& hosts) {
    constexpr std::string_view kApart = " \t,";
    for (size_t at = 0; (at = value.find_first_not_of(kApart, at)) != std::string::npos;) {
        const size_t end = std::min(value.find_first_of(kApart, at), value.size());
        hosts.push_back(value.substr(at, end - at));
        if (auto checked = nvmeof_generic::checkNqn(hosts.back()); !checked.ok()) return checked;
        at = end;
    }
    return hosts.empty() ? expected("host NQNs, apart by blanks or commas") : Result<>();
}

Result<> takeSegment(const std::string& value, std::string& segment) {
    const Status status = checkServerName(value);
    if (!status.ok()) return wrong(std::string(status.message()));
    segment = value;
    return {};
}

Result<> takeMetadata(const std::string& value, std::string& metadata) {
    std::shared_ptr<MetadataStorage> storage;
    const Status status = createMetadataStorage(value, StoreLimits(), &storage);
    if (!status.ok()) return wrong(std::string(status.message()));
    metadata = value;
    return {};
}

Result<> takeText(const std::string& value, std::string& text) {
    text = value;
    return {};
}

Result<> takeSettings(const ConfigSection& section, const std::string& where,
                      const Setters& setters) {
    for (const ConfigSetting& setting : section.settings) {
        const auto setter = setters.find(setting.key);
        if (setter == setters.end()) {
            std::string names;
            for (const auto& [name, unused] : setters) {
                names += (names.empty() ? "" : ", ") + std::string(name);
            }
            return complain(setting.line, where + " has no setting " + inQuotes(setting.key) +
                                              "; it has " + names);
        }
        if (auto taken = setter->second(setting.value); !taken.ok()) {
            // A connection string may hold a password.
            const std::string value = setting.key == "metadata" ? "..." : inQuotes(setting.value);
            return complain(setting.line,
                            setting.key + " = " + value + ": " + taken.error().message);
        }
    }
    return {};
}

Result<> takeServer(const ConfigSection& section, ServerConfig& config) {
    const auto text = [](std::string& field) {
        return [&field](const std::string& value) { return takeText(value, field); };
    };
    auto& address = config.address;
    address.trtype = "tcp";
    const Setters setters = {
        {"segment", [&](const auto& value) { return takeSegment(value, config.segment); }},
        {"metadata", [&](const auto& value) { return takeMetadata(value, config.metadata); }},
        {"trtype", text(address.trtype)},
        {"adrfam", text(address.adrfam)},
        {"traddr", text(address.traddr)},
        {"trsvcid", text(address.trsvcid)},
        {"advertise", text(config.advertise)},
        {"allow_any_host",
         [&](const auto& value) { return takeSwitch(value, config.allowAnyHost); }},
        {"allowed_hosts", [&](const auto& value) { return takeHosts(value, config.allowedHosts); }},
        {"allowed_hosts_file",
         [&](const auto& value) { return takePath(value, config.allowedHostsFile); }},
        {"dhchap_keys", [&](const auto& value) { return takePath(value, config.dhchapKeys); }},
        {"path_check", [&](const auto& value) { return takeSwitch(value, config.pathCheck); }},
        {"strict", [&](const auto& value) { return takeSwitch(value, config.strict); }},
        {"takeover", [&](const auto& value) { return takeSwitch(value, config.takeover); }},
    };
    return takeSettings(section, "the server (the part before the first [file ...])", setters);
}

using FilePlaces = std::map<std::string, ConfigLine>;

Result<> takeFile(const ConfigSection& section, std::vector<FileEntry>& files, FilePlaces& places) {
    if (!section.name.starts_with(kFileSection)) {
        return complain(section.line,
                        "there is no section " + inQuotes(section.name) + ", only [file /path]");
    }
    const std::string given =
        section.name.substr(section.name.find_first_not_of(' ', kFileSection.size()));
    if (given[0] != '/' || given.size() >= PATH_MAX) {
        return complain(section.line, "file " + inQuotes(given) + ": expected an absolute path");
    }
    FileEntry entry;
    entry.path = std::filesystem::path(given).lexically_normal().string();
    if (const auto [other, added] = places.emplace(entry.path, section.line); !added) {
        return complain(section.line, "file " + inQuotes(entry.path) +
                                          " was named before already, in " +
                                          placeOf(other->second));
    }
    if (files.size() == kMaxFiles) {
        return complain(section.line, "the kernel serves at most " + std::to_string(kMaxFiles) +
                                          " files of one segment");
    }
    const Setters setters = {
        {"size", [&](const auto& value) { return takeSize(value, entry.size); }},
        {"id", [&](const auto& value) { return takeId(value, entry.id); }},
        {"read_only", [&](const auto& value) { return takeSwitch(value, entry.readOnly); }},
        {"path_check", [&](const auto& value) { return takeSwitch(value, entry.pathCheck); }},
        {"mount", [&](const auto& value) { return takeMount(value, entry.path, entry.mount); }}};
    if (auto taken = takeSettings(section, "[" + section.name + "]", setters); !taken.ok()) {
        return taken;
    }
    const auto sameId = [&](const FileEntry& other) { return entry.id && other.id == entry.id; };
    if (const auto other = std::find_if(files.begin(), files.end(), sameId); other != files.end()) {
        return complain(section.line, "file " + inQuotes(entry.path) +
                                          ": id = " + std::to_string(*entry.id) +
                                          " is that of file " + inQuotes(other->path) + " already");
    }
    files.push_back(std::move(entry));
    return {};
}

// What no single line shows.
Result<> checkWhole(const ServerConfig& config) {
    const auto lacks = [](const std::string& what) {
        return Error{EINVAL, "it lacks the setting " + what};
    };
    if (config.segment.empty()) return lacks("segment, the name under which others find this node");
    if (config.metadata.empty()) return lacks("metadata, such as http://192.0.2.1:8080/metadata");
    if (config.address.traddr.empty()) return lacks("traddr, the address of this node to serve at");
    const auto addresses = nvmeof_generic::expandLists(config.address);
    if (!addresses.ok()) return addresses.error();
    if (auto published = nvmeof_generic::publishedAddresses(addresses.value(), config.advertise);
        !published.ok()) {
        return published.error();
    }
    const int lists = !config.allowedHosts.empty() + !config.allowedHostsFile.empty();
    if (lists == 2) {
        return Error{EINVAL,
                     "allowed_hosts and allowed_hosts_file exclude each other; the file can be "
                     "changed while the server runs"};
    }
    if (config.allowAnyHost && (lists != 0 || !config.dhchapKeys.empty())) {
        return Error{EINVAL, "allow_any_host = yes contradicts a list of hosts and keys"};
    }
    if (!config.allowAnyHost && lists == 0) {
        return Error{EINVAL,
                     "it does not say who may connect: set allowed_hosts or allowed_hosts_file, or "
                     "allow_any_host = yes to let every host that reaches the port read and write"};
    }
    return {};
}

Result<ServerConfig> takeSections(const std::vector<ConfigSection>& sections) {
    ServerConfig config;
    if (auto taken = takeServer(sections.front(), config); !taken.ok()) return taken.error();
    FilePlaces places;
    for (size_t i = 1; i < sections.size(); ++i) {
        if (auto taken = takeFile(sections[i], config.files, places); !taken.ok()) {
            return taken.error();
        }
    }
    if (auto checked = checkWhole(config); !checked.ok()) return checked.error();
    return config;
}

// In the order of their names; none where there is no such folder.
Result<std::vector<std::string>> listFragments(const std::string& folder) {
    namespace fs = std::filesystem;
    std::vector<std::string> files;
    std::error_code error;
    fs::directory_iterator it(folder, error), end;
    for (; !error && it != end; it.increment(error)) {
        const std::string name = it->path().filename();
        if (name.ends_with(".conf") && !name.starts_with('.')) files.push_back(it->path());
    }
    if (error && error.value() != ENOENT) {
        return makeError(error.value(), "cannot read folder " + inQuotes(folder));
    }
    std::sort(files.begin(), files.end());
    return files;
}

// Whoever can write here has root export what he likes. What is wrong with the variable's value the
// transport says.
PathCheck pathCheckOfEnvironment() {
    const char* const value = std::getenv("MC_NVMEOF_GENERIC_PATH_CHECK");
    return value != nullptr && std::string_view(value) == "off" ? PathCheck::kOff : PathCheck::kOn;
}

Result<std::string> readText(const std::string& path) {
    const auto text = nvmeof_generic::readGuardedFile(path, nvmeof_generic::FileGuard::kUnforged,
                                                      kMaxConfigBytes, pathCheckOfEnvironment());
    if (!text.ok()) return text.error();
    return std::string(text.value().view());
}

}  // namespace

Result<ServerConfig> parseConfig(std::string_view text) {
    const auto sections = splitConfig(text);
    return sections.ok() ? takeSections(sections.value()) : sections.error();
}

Result<ServerConfig> readConfig(const std::string& path) {
    std::vector<ConfigSection> sections;
    auto fragments = listFragments(path + ".d");
    if (!fragments.ok()) return fragments.error();
    fragments.value().insert(fragments.value().begin(), path);
    for (const std::string& file : fragments.value()) {
        const auto text = readText(file);
        if (!text.ok()) return text.error();
        auto split = splitConfig(text.value(), file);
        if (!split.ok()) return split.error();
        if (sections.empty()) {
            sections = split.take();
        } else if (auto added = appendSections(split.take(), sections); !added.ok()) {
            return added.error();
        }
    }
    auto config = takeSections(sections);
    if (config.ok() || config.error().message.starts_with('\'')) return config;
    return Error{config.error().code, inQuotes(path) + ": " + config.error().message};
}

std::string transportArguments(const ServerConfig& config) {
    std::string text = nvmeof_generic::toString(config.address);
    if (!config.advertise.empty()) text += " advertise=" + config.advertise;
    std::string hosts;
    for (const std::string& host : config.allowedHosts) hosts += (hosts.empty() ? "" : ",") + host;
    if (!hosts.empty()) text += " allowed_hosts=" + hosts;
    if (!config.allowedHostsFile.empty()) text += " allowed_hosts_file=" + config.allowedHostsFile;
    if (!config.dhchapKeys.empty()) text += " dhchap_keys=" + config.dhchapKeys;
    if (!config.pathCheck) text += " path_check=off";
    return text;
}

std::optional<std::string> findFixedChange(const ServerConfig& old, const ServerConfig& wanted) {
    const char* name = old.segment != wanted.segment                     ? "segment"
                       : old.metadata != wanted.metadata                 ? "metadata"
                       : old.address.trtype != wanted.address.trtype     ? "trtype"
                       : old.address.adrfam != wanted.address.adrfam     ? "adrfam"
                       : old.address.traddr != wanted.address.traddr     ? "traddr"
                       : old.address.trsvcid != wanted.address.trsvcid   ? "trsvcid"
                       : old.advertise != wanted.advertise               ? "advertise"
                       : old.pathCheck != wanted.pathCheck               ? "path_check"
                       : old.allowAnyHost != wanted.allowAnyHost         ? "allow_any_host"
                       : old.allowedHosts != wanted.allowedHosts         ? "allowed_hosts"
                       : old.allowedHostsFile != wanted.allowedHostsFile ? "allowed_hosts_file"
                       : old.dhchapKeys != wanted.dhchapKeys             ? "dhchap_keys"
                                                                         : nullptr;
    if (name == nullptr) return std::nullopt;
    return std::string(name) +
           " differs from what the server was started with, and takes a restart";
}

}  // namespace mooncake::file_server
