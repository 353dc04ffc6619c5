// SPDX-License-Identifier: Apache-2.0
#include "bounded_json.h"

#include <json/json.h>

#include <exception>
#include <memory>
#include <string_view>

namespace mooncake {

namespace {

Status malformed(std::string_view what) {
    return Status::MalformedJson(what);
}

// Values weigh about a hundred bytes each once parsed, and the parser descends on the stack: both
// are bounded here, on the text.
Status checkShape(const std::string& text, const JsonBounds& bounds) {
    if (text.size() > bounds.bytes) {
        return malformed("it has " + std::to_string(text.size()) + " bytes; at most " +
                         std::to_string(bounds.bytes) + " are allowed");
    }
    size_t depth = 0;
    size_t separators = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_string = false;
            }
            continue;
        }
        if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            ++separators;
            if (++depth > bounds.depth) {
                return malformed("it is nested more than " + std::to_string(bounds.depth) +
                                 " levels deep");
            }
        } else if (c == '}' || c == ']') {
            if (depth > 0) --depth;
        } else if (c == ',') {
            ++separators;
        }
        if (separators > bounds.values) return malformed("it holds too many values");
    }
    return Status::OK();
}

}  // namespace

Status parseBoundedObject(const std::string& text, const JsonBounds& bounds, Json::Value* root) {
    Status shape = checkShape(text, bounds);
    if (!shape.ok()) return shape;
    Json::CharReaderBuilder builder;
    Json::CharReaderBuilder::strictMode(&builder.settings_);
    std::string errors;
    try {
        const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
        if (!reader->parse(text.data(), text.data() + text.size(), root, &errors)) {
            return malformed("it is not JSON: " + errors.substr(0, 200));
        }
    } catch (const std::exception& e) {
        return malformed(std::string("it is not JSON: ") + e.what());
    }
    if (!root->isObject()) return malformed("it is not a JSON object");
    return Status::OK();
}

std::string writeJson(const Json::Value& value) {
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "";
    return Json::writeString(builder, value);
}

}  // namespace mooncake
