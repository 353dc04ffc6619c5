// SPDX-License-Identifier: Apache-2.0
#include "config_sections.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r";
    const size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool hasControlCharacter(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
    });
}

Result<> addSetting(ConfigSetting setting, std::vector<ConfigSetting>& settings) {
    for (const ConfigSetting& other : settings) {
        if (other.key != setting.key) continue;
        const bool sameFile = other.line.file == setting.line.file;
        return complain(setting.line, inQuotes(setting.key) + " was said in " +
                                          (sameFile ? "line " + std::to_string(other.line.number)
                                                    : placeOf(other.line)) +
                                          " already");
    }
    settings.push_back(std::move(setting));
    return {};
}

Result<> takeLine(std::string_view line, const ConfigLine& number,
                  std::vector<ConfigSection>& sections) {
    if (hasControlCharacter(line)) return complain(number, "it holds a control character");
    if (line.starts_with('[')) {
        const std::string_view name =
            line.ends_with(']') ? trimmed(line.substr(1, line.size() - 2)) : "";
        if (name.empty()) {
            return complain(number, inQuotes(line) + " is no section; it must read [name]");
        }
        sections.push_back({std::string(name), number, {}});
        return {};
    }
    const size_t equals = std::min(line.find('='), line.size());
    const std::string_view key = trimmed(line.substr(0, equals));
    const std::string_view value = equals == line.size() ? "" : trimmed(line.substr(equals + 1));
    if (key.empty() || value.empty()) {
        return complain(number, inQuotes(line) + " is no setting; it must read key = value");
    }
    return addSetting({std::string(key), std::string(value), number}, sections.back().settings);
}

}  // namespace

std::string placeOf(const ConfigLine& line) {
    const std::string number = "line " + std::to_string(line.number);
    return line.file.empty() ? number : inQuotes(line.file) + ": " + number;
}

Error complain(const ConfigLine& line, const std::string& what) {
    return {EINVAL, placeOf(line) + ": " + what};
}

Result<> appendSections(std::vector<ConfigSection> more, std::vector<ConfigSection>& sections) {
    for (ConfigSetting& setting : more.front().settings) {
        auto added = addSetting(std::move(setting), sections.front().settings);
        if (!added.ok()) return added;
    }
    std::move(more.begin() + 1, more.end(), std::back_inserter(sections));
    return {};
}

Result<std::vector<ConfigSection>> splitConfig(std::string_view text, const std::string& file) {
    std::vector<ConfigSection> sections{{"", {file, 0}, {}}};
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line[0] == '#' || line[0] == ';') continue;
        if (auto taken = takeLine(line, {file, number}, sections); !taken.ok())
            return taken.error();
    }
    return sections;
}

}  // namespace mooncake::file_server
