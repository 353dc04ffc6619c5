// SPDX-License-Identifier: Apache-2.0
// Who may read and write what the server holds.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "secret_text.h"

namespace mooncake {

// Every function may be called from any thread.
class AccessList {
 public:
    using Tokens = std::vector<SecretText>;

    // One token a line; more than one while nodes change from one to another. Lines that are empty
    // or begin with '#' do not count. False, with the cause in *error, for a file that
    // readSecretLines refuses, one without a token, and a token that no header can hold or that has
    // less than 16 characters.
    static bool read(const std::string& path, Tokens* tokens, std::string* error);

    // From now on these; none: everybody may.
    void set(Tokens tokens);
    bool asksForToken() const;
    // Whether the value of the header "Authorization" is "Bearer" and one of them. Takes the same
    // time wherever it differs.
    bool allows(const std::string& authorization) const;

 private:
    std::shared_ptr<const Tokens> current() const;

    mutable std::mutex mutex_;
    std::shared_ptr<const Tokens> tokens_ = std::make_shared<Tokens>();
};

}  // namespace mooncake
