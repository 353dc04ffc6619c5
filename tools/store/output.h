// SPDX-License-Identifier: Apache-2.0
// Where the tool reads and writes.
#pragma once

#include <iosfwd>
#include <string>

#include "error.h"

namespace Json {
class Value;
}

namespace mooncake::store::tool {

constexpr int kJsonSchema = 1;

struct Output {
    Output(std::istream& from, std::ostream& to, std::ostream& messages, bool bars)
        : in(from), out(to), err(messages), show_bars(bars) {}

    std::istream& in;
    std::ostream& out;
    std::ostream& err;
    const bool show_bars;  // messages go to a terminal
};

// One object, with the schema's number.
void printJson(const Json::Value& json, std::ostream& out);

// {"code": ..., "message": ...}, as it stands under "error" in what is printed.
Json::Value errorJson(const std::string& code, const std::string& message);

// {"schema": 1, "error": ...}
void printJsonError(const std::string& code, const std::string& message, std::ostream& out);

}  // namespace mooncake::store::tool
