// SPDX-License-Identifier: Apache-2.0
#include "incarnation.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <vector>

#include "common.h"

namespace mooncake {

namespace {

constexpr size_t kShownDigits = 8;

struct Place {
    std::string kernel;  // boot id, and the namespaces in which processes are numbered and timed
    std::string process;
    std::string start;
};

std::string firstLine(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// proc_pid_stat(5): the 3rd field is the state, the 20th the number of threads, the 22nd the start;
// the 2nd may hold anything.
struct ProcessState {
    std::string state;
    std::string threads;
    std::string start;

    // A process whose first thread has ended looks like one, and has others.
    bool isZombie() const { return state == "Z" && (threads == "1" || threads == "0"); }
};

std::optional<ProcessState> stateOf(const std::string& process) {
    const std::string line = firstLine("/proc/" + process + "/stat");
    const size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream rest(line.substr(name_end + 1));
    ProcessState found;
    std::string skipped;
    rest >> found.state;
    for (int field = 4; field < 20; ++field) rest >> skipped;
    rest >> found.threads >> skipped >> found.start;
    if (found.start.empty()) return std::nullopt;
    return found;
}

std::string namespaceNumber(const std::string& kind) {
    char name[64] = {};
    const ssize_t size = readlink(("/proc/self/ns/" + kind).c_str(), name, sizeof(name) - 1);
    std::string digits;
    std::copy_if(name, name + std::max<ssize_t>(size, 0), std::back_inserter(digits),
                 [](char c) { return c >= '0' && c <= '9'; });
    return digits;
}

std::string thisKernel() {
    const std::string boot = firstLine("/proc/sys/kernel/random/boot_id");
    const std::string numbers = namespaceNumber("pid");
    if (boot.empty() || numbers.empty()) return "";
    const std::string times = namespaceNumber("time");  // from Linux 5.6 on
    return boot + ":" + numbers + (times.empty() ? "" : "." + times);
}

std::optional<Place> placeIn(const std::string& incarnation) {
    const size_t at = incarnation.find('@');
    if (at == std::string::npos) return std::nullopt;
    std::vector<std::string> parts;
    std::istringstream text(incarnation.substr(at + 1));
    for (std::string part; std::getline(text, part, ':');) parts.push_back(part);
    const auto isNumber = [](const std::string& part) {
        return !part.empty() &&
               std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (parts.size() != 4 || !isNumber(parts[2]) || !isNumber(parts[3])) return std::nullopt;
    return Place{parts[0] + ":" + parts[1], parts[2], parts[3]};
}

}  // namespace

std::string newIncarnation() {
    constexpr char kHex[] = "0123456789abcdef";
    std::random_device random;
    std::string text;
    for (int word = 0; word < 4; ++word) {
        for (unsigned bits = random(), i = 0; i < 8; ++i, bits >>= 4) text += kHex[bits & 15];
    }
    const std::string kernel = thisKernel();
    const std::string process = std::to_string(getpid());
    const auto own = stateOf(process);
    if (kernel.empty() || !own) return text;
    return text + "@" + kernel + ":" + process + ":" + own->start;
}

bool hasEnded(const std::string& incarnation) {
    const auto place = placeIn(incarnation);
    if (!place || place->kernel != thisKernel()) return false;
    const auto process = parseFromString<pid_t>(place->process);
    if (!process || *process <= 0) return false;
    // The kernel tells that there is none even where it hides the processes of others.
    if (kill(*process, 0) != 0 && errno == ESRCH) return true;
    const auto found = stateOf(place->process);
    if (!found) return false;
    return found->start != place->start || found->isZombie();
}

std::string shortIncarnation(const std::string& incarnation) {
    std::string text = incarnation.substr(0, std::min(incarnation.find('@'), kShownDigits));
    if (const auto place = placeIn(incarnation)) text += ", process " + place->process;
    return text;
}

}  // namespace mooncake
