// SPDX-License-Identifier: Apache-2.0
#include "file_store.h"

#include <algorithm>
#include <ostream>
#include <string_view>

#include "command_line.h"
#include "commands.h"

namespace mooncake::store::tool {
namespace {

enum ExitStatus { kDone = 0, kFailed = 1, kUsage = 2 };

using Question = Result<bool> (*)(const Asked&, const CommandLine&, Output&);

Result<bool> ask(const CommandLine& line, Output& output, Question question) {
    const auto now = std::chrono::steady_clock::now();
    // One made by a look at a wrong place would seem to be an empty store; and where a directory
    // was lost, it would stand in the way of rebuild.
    DirectoryOptions options;
    options.may_make = false;
    const auto directory = Directory::open(line.directory, options, now + line.timeout);
    if (!directory) return tl::unexpected(directory.error());
    return question({**directory, line.timeout}, line, output);
}

Result<bool> carryOut(const CommandLine& line, Output& output) {
    switch (line.command) {
        case Command::kStatus:
            return ask(line, output, status);
        case Command::kList:
            return ask(line, output, list);
        case Command::kCheck:
            return ask(line, output, check);
        case Command::kEvict:
            return ask(line, output, evict);
        case Command::kForget:
            return ask(line, output, forget);
        case Command::kGet:
            return get(line, output);
        case Command::kPut:
            return put(line, output);
        case Command::kVerify:
            return verify(line, output);
        case Command::kRebuild:
            return rebuild(line, output);
        case Command::kVersion:
            output.out << "mooncake_file_store " MOONCAKE_STORE_VERSION "\n";
            return true;
        case Command::kHelp:
            break;
    }
    output.out << kHelp;
    return true;
}

void complain(const Error& error, bool json, const char* code, Output& output) {
    if (json) {
        printJsonError(code, error.message, output.out);
    } else {
        output.err << error.message << '\n';
    }
}

}  // namespace

int run(int argc, char** argv, Output& output) {
    const bool json = std::any_of(
        argv, argv + argc, [](const char* word) { return std::string_view(word) == "--json"; });
    const auto line = parseCommandLine(argc, argv);
    if (!line) {
        complain(line.error(), json, "usage", output);
        return kUsage;
    }
    const auto done = withoutThrowing([&] { return carryOut(*line, output); });
    if (!done) {
        complain(done.error(), json, std::string(toString(done.error().failure)).c_str(), output);
        return kFailed;
    }
    return *done ? kDone : kFailed;
}

}  // namespace mooncake::store::tool
