// SPDX-License-Identifier: Apache-2.0
// Keys that a regular expression is found in.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "error.h"

namespace mooncake::store {

// Thread rule: any thread.
class KeyPattern {
 public:
    // @param text  as std::regex takes it (ECMAScript), without back-references. kInvalid for one
    //     that is none.
    static Result<KeyPattern> compile(const std::string& text);

    // Takes time that grows with the square of the key's length at most.
    bool isIn(std::string_view key) const;

 private:
    struct Compiled;
    std::shared_ptr<const Compiled> compiled_;
};

}  // namespace mooncake::store
