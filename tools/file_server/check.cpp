// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <json/json.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iomanip>
#include <optional>
#include <ostream>

namespace mooncake::file_server {

namespace {

constexpr int kSchema = 1;  // raised when a member changes its meaning or goes

struct Report {
    Findings findings;
    size_t files = 0, servable = 0;
};

const char* nameOf(Verdict verdict) {
    return verdict == Verdict::kOk ? "ok" : verdict == Verdict::kWarning ? "warning" : "error";
}

ExitStatus statusOf(const Report& report) {
    if (isHopeless(report.findings)) return kWrongConfig;
    return worst(report.findings) == Verdict::kError ? kFailed : kDone;
}

Report look(const std::string& path, const Machine& machine) {
    const auto config = readConfig(path);
    if (!config.ok()) {
        const bool malformed = config.error().code == EINVAL;
        return {{Finding::from(malformed ? codes::kConfigMalformed : codes::kConfigUnreadable, path,
                               config.error())},
                0,
                0};
    }
    Report report;
    report.findings.push_back(Finding::ok(codes::kConfig, path, "its form is right"));
    std::optional<nvmeof_generic::TargetOptions> options;
    for (Finding& finding : rehearseServer(config.value(), machine, environ, &options)) {
        report.findings.push_back(std::move(finding));
    }
    report.files = config.value().files.size();
    if (report.files == 0) {
        report.findings.push_back(Finding::warning(codes::kNoFiles, path, "it names no file"));
    }
    for (Finding& finding : rehearseNumbers(config.value())) {
        report.findings.push_back(std::move(finding));
    }
    if (!options) return report;
    for (Finding& finding : rehearseFiles(config.value(), machine, *options)) {
        report.servable +=
            finding.code.code == codes::kFile.code || finding.code.code == codes::kFileRounded.code;
        report.findings.push_back(std::move(finding));
    }
    return report;
}

void printJson(const std::string& path, const Report& report, std::ostream& out) {
    Json::Value json;
    json["schema"] = kSchema;
    json["program"] = "transfer_engine_file_server";
    json["config"] = path;
    json["result"] = nameOf(worst(report.findings));
    json["exit_status"] = statusOf(report);
    json["files"] = static_cast<Json::UInt64>(report.files);
    json["servable"] = static_cast<Json::UInt64>(report.servable);
    json["checks"] = Json::Value(Json::arrayValue);
    for (const Finding& finding : report.findings) {
        Json::Value item;
        item["code"] = std::string(finding.code.code);
        item["result"] = nameOf(finding.verdict);
        item["subject"] = finding.subject;
        item["message"] = finding.message;
        item["remedy"] = finding.remedy.empty() ? Json::Value() : Json::Value(finding.remedy);
        json["checks"].append(item);
    }
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "  ";
    out << Json::writeString(builder, json) << '\n';
}

void printText(const std::string& path, const Report& report, std::ostream& out,
               std::ostream& err) {
    for (const Finding& finding : report.findings) {
        std::ostream& where = finding.verdict == Verdict::kOk ? out : err;
        where << std::left << std::setw(8) << nameOf(finding.verdict) << finding.code.code << ": ";
        if (finding.message.find(finding.subject) == std::string::npos) {
            where << finding.subject << ": ";
        }
        where << finding.message << '\n';
        if (!finding.remedy.empty()) where << "        do: " << finding.remedy << '\n';
    }
    const ExitStatus status = statusOf(report);
    out << path << (status == kDone ? " is right" : ": the server would not start") << "; "
        << report.servable << " of " << report.files << " files can be served\n";
}

}  // namespace

ExitStatus check(const std::string& configPath, bool json, std::ostream& out, std::ostream& err,
                 const Machine& machine) {
    const Report report = look(configPath, machine);
    if (json) {
        printJson(configPath, report, out);
    } else {
        printText(configPath, report, out, err);
    }
    return statusOf(report);
}

}  // namespace mooncake::file_server
