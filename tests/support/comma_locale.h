// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <locale>

namespace test_support {

/// While it exists, this program's locale writes "1.234,5" for 1234.5, as a German one does: in
/// printf's functions and in streams that are made meanwhile. Needs no locale of the system's but
/// C.UTF-8, which every Debian has. One at a time, and not while other threads print.
class CommaLocale {
 public:
    CommaLocale();
    ~CommaLocale();
    CommaLocale(const CommaLocale&) = delete;
    CommaLocale& operator=(const CommaLocale&) = delete;

    /// Whether printf has it, too.
    bool complete() const { return complete_; }

 private:
    std::filesystem::path folder_;
    std::locale streams_;  // of before
    bool complete_ = false;
};

}  // namespace test_support
