// SPDX-License-Identifier: Apache-2.0
#include "preconditions.h"

#include <algorithm>

namespace mooncake {

namespace {

struct TagList {
    bool given = false;
    bool any = false;
    std::vector<std::string> strong, weak;

    bool has(const std::string& tag, bool weak_too) const {
        const auto in = [&](const std::vector<std::string>& tags) {
            return std::find(tags.begin(), tags.end(), tag) != tags.end();
        };
        return any || in(strong) || (weak_too && in(weak));
    }
};

// One value of a header: "*", or tags apart by commas; a tag may hold commas itself.
void add(std::string_view text, TagList* list) {
    constexpr std::string_view kApart = " \t,";
    list->given = true;
    while (true) {
        text.remove_prefix(std::min(text.find_first_not_of(kApart), text.size()));
        if (text.empty()) return;
        if (text.front() == '*') {
            list->any = true;
            text.remove_prefix(1);
            continue;
        }
        const bool weak = text.starts_with("W/");
        if (weak) text.remove_prefix(2);
        const size_t end = text.starts_with('"') ? text.find('"', 1) : std::string_view::npos;
        if (end == std::string_view::npos) return;  // no tag, and nothing after it can be one
        (weak ? list->weak : list->strong).emplace_back(text.substr(1, end - 1));
        text.remove_prefix(end + 1);
    }
}

TagList listOf(const std::vector<std::string>& values) {
    TagList list;
    for (const std::string& value : values) add(value, &list);
    return list;
}

}  // namespace

KeyValueStore::Condition preconditionsFrom(const std::vector<std::string>& if_match,
                                           const std::vector<std::string>& if_none_match) {
    const TagList match = listOf(if_match);
    const TagList none = listOf(if_none_match);
    if (!match.given && !none.given) return nullptr;
    return [match, none](const std::string* tag) {
        if (match.given && (tag == nullptr || !match.has(*tag, false))) return false;
        return !none.given || tag == nullptr || !none.has(*tag, true);
    };
}

std::string entityTag(std::string_view tag) {
    return "\"" + std::string(tag) + "\"";
}

}  // namespace mooncake
