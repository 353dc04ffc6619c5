// SPDX-License-Identifier: Apache-2.0
// JSON that somebody else wrote: it is bounded before it is parsed.
#pragma once

#include <json/value.h>

#include <cstddef>
#include <string>

#include "common/base/status.h"

namespace mooncake {

struct JsonBounds {
    size_t bytes;
    size_t depth;   // levels of arrays and objects
    size_t values;  // roughly: commas and opening brackets
};

// The one object that `text` is, in strict JSON. MalformedJson, with the cause (a sentence that
// begins with "it"), for anything else. Throws nothing. Thread-safe.
Status parseBoundedObject(const std::string& text, const JsonBounds& bounds, Json::Value* root);

// On one line.
std::string writeJson(const Json::Value& value);

}  // namespace mooncake
