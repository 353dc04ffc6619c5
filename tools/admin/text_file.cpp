// SPDX-License-Identifier: Apache-2.0
#include "text_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace mooncake::nvmeof_generic::admin {

namespace fs = std::filesystem;

std::optional<std::string> readText(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    std::string text;
    char piece[4096];
    // Not by istreambuf_iterator, which throws where the kernel cannot read.
    do {
        file.read(piece, sizeof(piece));
        text.append(piece, static_cast<size_t>(file.gcount()));
    } while (file);
    if (file.bad()) return std::nullopt;
    return text;
}

std::optional<std::string> readLine(const std::string& path) {
    auto text = readText(path);
    if (text) text->resize(std::min(text->find('\n'), text->size()));
    return text;
}

std::vector<std::string> namesIn(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        names.push_back(it->path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string linkedName(const std::string& link) {
    std::error_code error;
    return fs::read_symlink(link, error).filename();
}

bool exists(const std::string& path) {
    std::error_code error;
    return fs::exists(path, error);
}

}  // namespace mooncake::nvmeof_generic::admin
