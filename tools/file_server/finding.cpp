// SPDX-License-Identifier: Apache-2.0
#include "finding.h"

#include <algorithm>
#include <utility>

namespace mooncake::file_server {

Finding Finding::ok(const CheckCode& code, std::string subject, std::string message) {
    return {Verdict::kOk, code, std::move(subject), std::move(message), ""};
}

Finding Finding::warning(const CheckCode& code, std::string subject, std::string message) {
    return {Verdict::kWarning, code, std::move(subject), std::move(message),
            std::string(code.remedy)};
}

Finding Finding::from(const CheckCode& code, std::string subject, const Error& cause,
                      Verdict verdict) {
    Finding finding{verdict, code, std::move(subject), cause.message, cause.remedy};
    const std::string tail = " (" + cause.remedy + ")";
    if (cause.remedy.empty()) {
        finding.remedy = code.remedy;
    } else if (finding.message.ends_with(tail)) {
        finding.message.resize(finding.message.size() - tail.size());
    }
    return finding;
}

Verdict worst(const Findings& findings) {
    Verdict verdict = Verdict::kOk;
    for (const Finding& finding : findings) verdict = std::max(verdict, finding.verdict);
    return verdict;
}

bool isHopeless(const Findings& findings) {
    return std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
        return finding.verdict == Verdict::kError && finding.code.permanent;
    });
}

}  // namespace mooncake::file_server
