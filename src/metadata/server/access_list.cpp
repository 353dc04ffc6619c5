// SPDX-License-Identifier: Apache-2.0
#include "access_list.h"

#include <openssl/crypto.h>
#include <strings.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "secret_file.h"

namespace mooncake {

namespace {

constexpr std::string_view kScheme = "Bearer ";
constexpr size_t kMinToken = 16;

}  // namespace

bool AccessList::read(const std::string& path, Tokens* tokens, std::string* error) {
    SecretText content;
    const Status status = readSecretLines(path, &content);
    if (!status.ok()) {
        *error = status.message();
        return false;
    }
    tokens->clear();
    std::string_view rest = content.view();
    for (size_t number = 1; !rest.empty(); ++number) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        const bool plain =
            std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c <= '~'; });
        if (!plain || line.size() < kMinToken) {
            *error = "'" + path + "', line " + std::to_string(number) + ": a token has at least " +
                     std::to_string(kMinToken) + " printable characters and no space";
            return false;
        }
        tokens->emplace_back(line);
    }
    if (tokens->empty()) *error = "'" + path + "' holds no token";
    return !tokens->empty();
}

void AccessList::set(Tokens tokens) {
    auto made = std::make_shared<const Tokens>(std::move(tokens));
    std::lock_guard lock(mutex_);
    tokens_ = std::move(made);
}

std::shared_ptr<const AccessList::Tokens> AccessList::current() const {
    std::lock_guard lock(mutex_);
    return tokens_;
}

bool AccessList::asksForToken() const {
    return !current()->empty();
}

bool AccessList::allows(const std::string& authorization) const {
    const auto tokens = current();
    if (tokens->empty()) return true;
    const std::string_view text = authorization;
    if (text.size() < kScheme.size() ||
        strncasecmp(text.data(), kScheme.data(), kScheme.size()) != 0) {
        return false;
    }
    const std::string_view given = text.substr(kScheme.size());
    bool found = false;
    for (const SecretText& one : *tokens) {
        found |= one.view().size() == given.size() &&
                 CRYPTO_memcmp(one.view().data(), given.data(), given.size()) == 0;
    }
    return found;
}

}  // namespace mooncake
