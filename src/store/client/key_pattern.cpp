// SPDX-License-Identifier: Apache-2.0
#include "key_pattern.h"

#include <regex>

namespace mooncake::store {

struct KeyPattern::Compiled {
    std::regex regex;
};

// The other way to search, which the library takes by default, needs stack for each byte of a key,
// and for some expressions time that doubles with each: keys are others' and have up to 4 KiB.
Result<KeyPattern> KeyPattern::compile(const std::string& text) {
    constexpr auto kSyntax = std::regex::ECMAScript | std::regex_constants::__polynomial;
    try {
        KeyPattern pattern;
        pattern.compiled_ = std::make_shared<const Compiled>(Compiled{std::regex(text, kSyntax)});
        return pattern;
    } catch (const std::regex_error& error) {
        return failed(Failure::kInvalid, "'" + text +
                                             "' is no regular expression, or one with a "
                                             "back-reference: " +
                                             error.what());
    }
}

bool KeyPattern::isIn(std::string_view key) const {
    return std::regex_search(key.begin(), key.end(), compiled_->regex);
}

}  // namespace mooncake::store
