// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "check_codes.h"
#include "config_sections.h"

namespace mooncake::file_server {

enum class Verdict { kOk, kWarning, kError };

/// What a check found out about one thing.
struct Finding {
    Verdict verdict;
    CheckCode code;
    std::string subject;  ///< what it is about: a file's path, an address, a setting
    std::string message;  ///< one line, without the remedy
    std::string remedy;   ///< what to do; may be empty

    static Finding ok(const CheckCode& code, std::string subject, std::string message);
    static Finding warning(const CheckCode& code, std::string subject, std::string message);
    /// An error, unless `verdict` says otherwise; message and remedy are the cause's.
    static Finding from(const CheckCode& code, std::string subject, const Error& cause,
                        Verdict verdict = Verdict::kError);
};

using Findings = std::vector<Finding>;

/// The worst of them; kOk of none.
Verdict worst(const Findings& findings);

/// Whether there is an error that stays until the operator changes something.
bool isHopeless(const Findings& findings);

}  // namespace mooncake::file_server
