// SPDX-License-Identifier: Apache-2.0
// Case 25, 26, 28: address strings of targets, of metadata stores and of nodes, names, and base64.
// What passes is written and read again without a change, and holds nothing that could end a
// string, a line, an option or a folder.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base64.h"
#include "endpoints.h"
#include "metadata_keys.h"
#include "require.h"
#ifdef USE_NVMEOF_GENERIC
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#endif

using namespace mooncake;

namespace {

bool isPlain(const std::string& text, const char* forbidden) {
    for (const char c : text) {
        if (c <= ' ' || c > '~') return false;
    }
    return text.find_first_of(forbidden) == std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::vector<StoreEndpoint> endpoints;
    if (parseEndpoints("it", text, 2379, &endpoints).ok()) {
        std::string written;
        for (const StoreEndpoint& one : endpoints) {
            REQUIRE(one.port != 0 && isPlain(one.host, ",;/@"));
            written += (written.empty() ? "" : ",") + one.text();
        }
        std::vector<StoreEndpoint> again;
        REQUIRE(parseEndpoints("it", written, 1, &again).ok());
        REQUIRE(again.size() == endpoints.size());
        for (size_t i = 0; i < again.size(); ++i) {
            REQUIRE(again[i].text() == endpoints[i].text());
        }
    }
    if (checkSegmentName(text).ok()) {
        REQUIRE(isPlain(text, ","));
        REQUIRE(text.find("..") == std::string::npos);
        MetadataKeys keys;
        REQUIRE(MetadataKeys::create(nullptr, &keys).ok());
        REQUIRE(!keys.segment(text).starts_with("mooncake/rpc_meta/"));
    }
    REQUIRE(!checkServerName(text).ok() || isPlain(text, ",/"));
    std::string bytes;
    if (base64Decode(text, &bytes)) {
        std::string again;
        REQUIRE(base64Decode(base64Encode(bytes), &again));
        REQUIRE(again == bytes);
    }
    REQUIRE(base64Decode(base64Encode(text), &bytes));
    REQUIRE(bytes == text);
#ifdef USE_NVMEOF_GENERIC
    const auto addresses = nvmeof_generic::parseAddresses(text);
    if (addresses.ok()) {
        REQUIRE(!addresses.value().empty());
        for (const auto& address : addresses.value()) {
            REQUIRE(isPlain(address.traddr, ",/;="));
            REQUIRE(isPlain(address.trsvcid, ",/;="));
            const auto again = nvmeof_generic::parseAddresses(nvmeof_generic::toString(address));
            REQUIRE(again.ok());
            REQUIRE(again.value() == nvmeof_generic::TransportAddresses{address});
        }
    }
#endif
    return 0;
}
