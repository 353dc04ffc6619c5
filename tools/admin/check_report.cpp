// SPDX-License-Identifier: Apache-2.0
#include "check_report.h"

#include <json/json.h>

#include <algorithm>
#include <iomanip>
#include <ostream>

#include "json_error.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

const char* nameOf(Verdict verdict) {
    switch (verdict) {
        case Verdict::kOk:
            return "ok";
        case Verdict::kWarn:
            return "warn";
        case Verdict::kFail:
            break;
    }
    return "fail";
}

}  // namespace

void printText(const std::vector<Check>& checks, std::ostream& out) {
    for (const Check& check : checks) {
        out << std::left << std::setw(6) << nameOf(check.verdict) << check.what << '\n';
        if (!check.remedy.empty()) out << "      do: " << check.remedy << '\n';
    }
}

void printJson(const std::vector<Check>& checks, std::ostream& out) {
    Json::Value json;
    json["schema"] = kJsonSchema;
    json["passed"] = passed(checks);
    json["checks"] = Json::Value(Json::arrayValue);
    for (const Check& check : checks) {
        Json::Value item;
        item["code"] = check.code;
        item["verdict"] = nameOf(check.verdict);
        item["what"] = check.what;
        item["remedy"] = check.remedy.empty() ? Json::Value() : Json::Value(check.remedy);
        json["checks"].append(item);
    }
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "  ";
    out << Json::writeString(builder, json) << '\n';
}

bool passed(const std::vector<Check>& checks) {
    return std::none_of(checks.begin(), checks.end(),
                        [](const Check& check) { return check.verdict == Verdict::kFail; });
}

}  // namespace mooncake::nvmeof_generic::admin
