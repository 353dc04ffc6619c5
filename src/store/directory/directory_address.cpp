// SPDX-License-Identifier: Apache-2.0
#include "directory_address.h"

#include <algorithm>
#include <cstdlib>

namespace mooncake::store {

namespace {

constexpr char kDefaultPath[] = "/var/lib/mooncake/store.db";
constexpr char kDefaultStore[] = "default";
constexpr size_t kMaxName = 64;

bool isName(const std::string& text) {
    return !text.empty() && text.size() <= kMaxName &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '-' || c == '_' || c == '.';
           });
}

tl::unexpected<Error> malformed(const std::string& text, const std::string& cause) {
    return failed(Failure::kInvalid, "the directory's address '" + text.substr(0, 300) + "' " +
                                         cause +
                                         "; it takes sqlite:///path or "
                                         "etcd://host:port[,host:port...][/store]");
}

Result<DirectoryAddress> parseSqlite(const std::string& text, std::string path) {
    // sqlite:///path is the form of a URL with an empty host.
    if (path.starts_with("//")) path.erase(0, 2);
    if (path.empty() || path.back() == '/') return malformed(text, "names no file");
    return DirectoryAddress{DirectoryAddress::Kind::kSqlite, path, "", ""};
}

Result<DirectoryAddress> parseEtcd(const std::string& text, std::string servers) {
    std::string store = kDefaultStore;
    // The slashes of https:// belong to the servers.
    const size_t scheme = servers.rfind("://");
    const size_t slash = servers.find('/', scheme == std::string::npos ? 0 : scheme + 3);
    if (slash != std::string::npos) {
        store = servers.substr(slash + 1);
        servers.resize(slash);
        if (!isName(store)) {
            return malformed(text,
                             "has a store's name that is not 1 to 64 letters, digits, "
                             "hyphens, dots and underscores");
        }
    }
    if (servers.empty()) return malformed(text, "names no server");
    return DirectoryAddress{DirectoryAddress::Kind::kEtcd, "", servers, store};
}

}  // namespace

Result<DirectoryAddress> parseDirectoryAddress(const std::string& text) {
    if (text.empty()) {
        const char* variable = std::getenv("MC_STORE_DIRECTORY");
        return parseDirectoryAddress(variable != nullptr && *variable != '\0' ? variable
                                                                              : kDefaultPath);
    }
    constexpr std::string_view kSqlite = "sqlite:", kEtcd = "etcd://";
    if (text.starts_with(kSqlite)) return parseSqlite(text, text.substr(kSqlite.size()));
    if (text.starts_with(kEtcd)) return parseEtcd(text, text.substr(kEtcd.size()));
    if (text.front() == '/' || text.front() == '.') return parseSqlite(text, text);
    return parseEtcd(text, text);
}

}  // namespace mooncake::store
