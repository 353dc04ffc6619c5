// SPDX-License-Identifier: Apache-2.0
#include "output.h"

#include <json/json.h>

#include <ostream>

namespace mooncake::store::tool {

void printJson(const Json::Value& json, std::ostream& out) {
    Json::Value whole = json;
    whole["schema"] = kJsonSchema;
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "  ";
    out << Json::writeString(builder, whole) << '\n';
}

Json::Value errorJson(const std::string& code, const std::string& message) {
    Json::Value json;
    json["code"] = code;
    json["message"] = message;
    return json;
}

void printJsonError(const std::string& code, const std::string& message, std::ostream& out) {
    Json::Value json;
    json["error"] = errorJson(code, message);
    printJson(json, out);
}

}  // namespace mooncake::store::tool
