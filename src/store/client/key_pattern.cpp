// SPDX-License-Identifier: Apache-2.0
#include "key_pattern.h"

#include <regex>

namespace mooncake::store {

struct KeyPattern::Compiled {
    std::regex regex;
};

Result<KeyPattern> KeyPattern::compile(const std::string& text) {
    try {
        KeyPattern pattern;
        pattern.compiled_ = std::make_shared<const Compiled>(Compiled{std::regex(text)});
        return pattern;
    } catch (const std::regex_error& error) {
        return failed(Failure::kInvalid,
                      "'" + text + "' is no regular expression: " + error.what());
    }
}

bool KeyPattern::isIn(std::string_view key) const {
    return std::regex_search(key.begin(), key.end(), compiled_->regex);
}

}  // namespace mooncake::store
