// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/host_key.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "transport/nvmeof_generic_transport/common/guarded_file.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr size_t kMaxFileBytes = 4096;
constexpr size_t kCrcBytes = 4;
constexpr size_t kMaxDecoded = 64 + kCrcBytes;

Error keyError(const std::string& remedy) {
    return makeError(EINVAL, "DH-HMAC-CHAP key", remedy);
}

int base64Value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648, with padding. @return the number of bytes, or 0 when it is malformed or too long
size_t decodeBase64(std::string_view text, std::array<uint8_t, kMaxDecoded>& bytes) {
    if (text.empty() || text.size() % 4 != 0) return 0;
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    if (text.size() / 4 * 3 - padding > bytes.size()) return 0;
    text.remove_suffix(padding);
    uint32_t bits = 0;
    int count = 0;
    size_t length = 0;
    for (const char c : text) {
        const int value = base64Value(c);
        if (value < 0) return 0;
        bits = bits << 6 | static_cast<uint32_t>(value);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes[length++] = static_cast<uint8_t>(bits >> count);
    }
    return length;
}

// CRC-32 of ISO 3309, as in zlib.
uint32_t crc32(const uint8_t* data, size_t length) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < length; ++i) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

Result<> checkDecoded(char hash, const uint8_t* bytes, size_t length) {
    const size_t keyBytes = length < kCrcBytes ? 0 : length - kCrcBytes;
    const size_t wanted = hash == '1' ? 32 : hash == '2' ? 48 : hash == '3' ? 64 : keyBytes;
    if (keyBytes != wanted || (keyBytes != 32 && keyBytes != 48 && keyBytes != 64)) {
        return keyError(
            "between the second and the third colon it must be the base64 of a key of "
            "32, 48 or 64 bytes (hash 01: 32, 02: 48, 03: 64) and 4 bytes of CRC");
    }
    uint32_t stored = 0;
    for (size_t i = kCrcBytes; i-- > 0;) stored = stored << 8 | bytes[keyBytes + i];
    if (stored != crc32(bytes, keyBytes)) {
        return keyError("its CRC is wrong: a character was lost or changed in copying");
    }
    return {};
}

// Copies a name of an algorithm, which is one of `names`.
bool choose(std::string_view value, std::initializer_list<std::string_view> names,
            std::string_view before, std::string_view after, std::string& chosen) {
    if (!chosen.empty() || std::find(names.begin(), names.end(), value) == names.end()) {
        return false;
    }
    chosen = std::string(before).append(value).append(after);
    return true;
}

Result<> takeKey(std::string_view value, Secret& key, Secret& old) {
    if (!old.empty()) return keyError("it is given three times: the new one and the old one count");
    if (const auto parsed = parseDhchapKey(value); !parsed.ok()) return parsed.error();
    (key.empty() ? key : old) = Secret(value);
    return {};
}

Result<> takeLine(std::string_view line, HostKey& key) {
    const size_t equals = std::min(line.find('='), line.size());
    const std::string_view name = line.substr(0, equals);
    const std::string_view value = line.substr(std::min(equals + 1, line.size()));
    if (name == "host_key") return takeKey(value, key.host, key.oldHost);
    if (name == "controller_key") return takeKey(value, key.controller, key.oldController);
    const bool known = name == "hash"
                           ? choose(value, {"sha256", "sha384", "sha512"}, "hmac(", ")", key.hash)
                           : name == "dhgroup" && choose(value,
                                                         {"null", "ffdhe2048", "ffdhe3072",
                                                          "ffdhe4096", "ffdhe6144", "ffdhe8192"},
                                                         "", "", key.dhGroup);
    if (known) return {};
    // Not a character of it: it may be a key.
    return makeError(EINVAL, "a line",
                     "there may stand host_key= and controller_key=, each twice at most, and once "
                     "hash=<sha256|sha384|sha512>, dhgroup=<null|ffdhe2048|...|ffdhe8192>");
}

}  // namespace

Result<DhchapKey> parseDhchapKey(std::string_view text) {
    constexpr std::string_view kHead = "DHHC-1:0h:";
    const bool headed = text.size() > kHead.size() && text.starts_with("DHHC-1:0") &&
                        text[8] >= '0' && text[8] <= '3' && text[9] == ':' && text.ends_with(':');
    if (!headed) return keyError("it must have the form DHHC-1:<00|01|02|03>:<base64>:");
    const std::string_view coded = text.substr(kHead.size(), text.size() - kHead.size() - 1);
    std::array<uint8_t, kMaxDecoded> bytes{};
    const size_t length = decodeBase64(coded, bytes);
    const auto checked = checkDecoded(text[8], bytes.data(), length);
    DhchapKey key{static_cast<uint8_t>(text[8] - '0'), {}};
    if (checked.ok()) {
        key.bytes = Secret({reinterpret_cast<const char*>(bytes.data()), length - kCrcBytes});
    }
    explicit_bzero(bytes.data(), bytes.size());
    if (!checked.ok()) return checked.error();
    return key;
}

Result<HostKey> readKeyFile(const std::string& path, PathCheck check) {
    const auto content = readGuardedFile(path, FileGuard::kSecret, kMaxFileBytes, check);
    if (!content.ok()) return content.error();
    const std::string file = "key file " + inQuotes(path);
    HostKey key;
    std::string_view text = content.value().view();
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.starts_with('#')) continue;
        if (auto taken = takeLine(line, key); !taken.ok()) {
            return Error{EINVAL,
                         file + ", line " + std::to_string(number) + ": " + taken.error().message};
        }
    }
    if (key.host.empty()) return makeError(EINVAL, file, "it has no line host_key=");
    for (const Secret* host : {&key.host, &key.oldHost}) {
        for (const Secret* controller : {&key.controller, &key.oldController}) {
            if (host->empty() || host->view() != controller->view()) continue;
            return makeError(EINVAL, file, "host_key and controller_key must differ");
        }
    }
    return key;
}

}  // namespace mooncake::nvmeof_generic
