// SPDX-License-Identifier: Apache-2.0
#include "access_options.h"

#include <limits.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <set>

#include "transport/nvmeof_generic_transport/common/advertised_address.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {

Result<> takeHostList(std::string_view value, std::vector<std::string>& hosts) {
    std::vector<std::string> taken;
    while (true) {
        const size_t comma = std::min(value.find(','), value.size());
        const std::string_view nqn = value.substr(0, comma);
        if (nqn.empty()) return Error{EINVAL, "host NQNs separated by commas"};
        if (Result<> checked = checkNqn(nqn); !checked.ok()) return checked;
        taken.emplace_back(nqn);
        if (comma == value.size()) break;
        value.remove_prefix(comma + 1);
    }
    hosts = std::move(taken);
    return {};
}

Result<> takePath(std::string_view value, std::string& path) {
    const bool printable = std::none_of(value.begin(), value.end(), [](char c) {
        return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    });
    if (!value.starts_with('/') || !printable || value.size() >= PATH_MAX) {
        return Error{EINVAL, "an absolute path without control characters, of at most " +
                                 std::to_string(PATH_MAX - 1) + " bytes"};
    }
    path = value;
    return {};
}

Result<> takePathCheck(std::string_view value, PathCheck& check) {
    if (value != "on" && value != "off") return Error{EINVAL, "one of: off, on"};
    check = value == "on" ? PathCheck::kOn : PathCheck::kOff;
    return {};
}

Result<TargetAddresses> readArguments(std::string_view text, TargetOptions& target) {
    TargetOptions options = target;
    std::string advertise;
    const std::map<std::string_view, std::function<Result<>(std::string_view)>> readers = {
        {"allowed_hosts",
         [&](std::string_view value) { return takeHostList(value, options.allowedHosts); }},
        {"allowed_hosts_file",
         [&](std::string_view value) { return takePath(value, options.allowedHostsFile); }},
        {"dhchap_keys",
         [&](std::string_view value) { return takePath(value, options.dhchapKeys); }},
        {"path_check",
         [&](std::string_view value) { return takePathCheck(value, options.pathCheck); }},
        {"advertise",
         [&](std::string_view value) -> Result<> {
             advertise = value;
             return value.empty() ? Result<>(Error{EINVAL, "an address"}) : Result<>();
         }},
    };
    std::string address;
    std::set<std::string_view> seen;
    while (true) {
        const std::string_view word = takeWord(text);
        if (word.empty()) break;
        const size_t equals = std::min(word.find('='), word.size());
        const auto reader = readers.find(word.substr(0, equals));
        if (reader == readers.end()) {
            address.append(word).append(" ");
            continue;
        }
        if (equals == word.size()) {
            return makeError(EINVAL, "argument " + inQuotes(word), "a value must follow it: '='");
        }
        if (!seen.insert(reader->first).second) {
            return makeError(EINVAL, "argument " + inQuotes(word) + " is given twice");
        }
        if (Result<> taken = reader->second(word.substr(equals + 1)); !taken.ok()) {
            return makeError(EINVAL, "argument " + inQuotes(word),
                             "expected " + taken.error().message);
        }
    }
    auto parsed = parseAddresses(address);
    if (!parsed.ok()) {
        std::string names;
        for (const auto& [name, unused] : readers) names += ", " + std::string(name) + "=";
        return Error{parsed.error().code,
                     parsed.error().message + ", and as further arguments" + names.substr(1)};
    }
    auto published = publishedAddresses(parsed.value(), advertise);
    if (!published.ok()) return published.error();
    target = std::move(options);
    return TargetAddresses{parsed.take(), published.take()};
}

}  // namespace mooncake::nvmeof_generic
