// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <algorithm>
#include <ostream>

#include "key_text.h"

namespace mooncake::store::tool {

void Table::add(std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = withoutControls(cell);
    rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
    std::vector<size_t> widths;
    for (size_t i = 0; i < columns_.size(); ++i) {
        size_t width = columns_[i].title.size();
        for (const auto& row : rows_) width = std::max(width, row[i].size());
        widths.push_back(width);
    }
    const auto line = [&](const auto& cell) {
        std::string text;
        for (size_t i = 0; i < columns_.size(); ++i) {
            const std::string& content = cell(i);
            const std::string space(widths[i] - content.size(), ' ');
            if (i > 0) text += "  ";
            text += columns_[i].align == Align::kRight ? space + content : content + space;
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out << text << '\n';
    };
    line([&](size_t i) -> const std::string& { return columns_[i].title; });
    for (const auto& row : rows_) line([&](size_t i) -> const std::string& { return row[i]; });
}

}  // namespace mooncake::store::tool
