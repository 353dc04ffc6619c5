// SPDX-License-Identifier: Apache-2.0
#include "metadata_storage.h"

#include <string_view>

#include "http_storage.h"
#include "transfer_metadata.h"

namespace mooncake {

Status createMetadataStorage(const std::string& conn_string,
                             std::shared_ptr<MetadataStorage>* storage) {
    const std::string_view conn = conn_string;
    if (conn.starts_with("http://") || conn.starts_with("https://")) {
        std::unique_ptr<HttpStorage> http;
        Status status = HttpStorage::create(conn_string, HttpLimits(), &http);
        if (status.ok()) *storage = std::move(http);
        return status;
    }
    constexpr std::string_view kSupported =
        "this build supports http://host:port/metadata and https://host:port/metadata";
    if (conn.empty()) {
        return Status::InvalidArgument("the metadata connection string is empty; " +
                                       std::string(kSupported));
    }
    const bool is_url = conn.find("://") != std::string_view::npos;
    if (conn == P2PHANDSHAKE || conn.starts_with("etcd://") || conn.starts_with("redis://") ||
        (!is_url && conn.find(':') != std::string_view::npos)) {
        return Status::NotImplemented("the metadata connection string '" + conn_string +
                                      "' names a store that is not supported; " +
                                      std::string(kSupported));
    }
    return Status::InvalidArgument("the metadata connection string '" + conn_string +
                                   "' is malformed; " + std::string(kSupported));
}

}  // namespace mooncake
