// SPDX-License-Identifier: Apache-2.0
// Columns of text, each as wide as it needs.
#pragma once

#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

namespace mooncake::store::tool {

class Table {
 public:
    enum class Align { kLeft, kRight };
    struct Column {
        std::string title;
        Align align = Align::kLeft;
    };

    explicit Table(std::initializer_list<Column> columns) : columns_(columns) {}

    // As many cells as columns. Control characters, which could steer a terminal, are shown as
    // "\x" and two hexadecimal digits.
    void add(std::vector<std::string> cells);
    bool empty() const { return rows_.empty(); }
    void print(std::ostream& out) const;

 private:
    const std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace mooncake::store::tool
