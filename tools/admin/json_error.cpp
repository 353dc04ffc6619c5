// SPDX-License-Identifier: Apache-2.0
#include "json_error.h"

#include <json/json.h>

#include <ostream>

namespace mooncake::nvmeof_generic::admin {

void printJsonError(const std::string& code, const std::string& message, std::ostream& out) {
    Json::Value json;
    json["schema"] = kJsonSchema;
    json["error"]["code"] = code;
    json["error"]["message"] = message;
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "  ";
    out << Json::writeString(builder, json) << '\n';
}

}  // namespace mooncake::nvmeof_generic::admin
