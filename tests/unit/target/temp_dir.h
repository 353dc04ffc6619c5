// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace mooncake::nvmeof_generic {

/// A new folder, removed with everything in it at the end.
class TempDir {
 public:
    /// @param parent  an existing folder
    explicit TempDir(const std::string& parent = std::filesystem::temp_directory_path()) {
        path_ = parent + "/nvmeof-target-XXXXXX";
        if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp " + path_);
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    const std::string& path() const { return path_; }

    /// Makes a regular file of `size` bytes, none of them zero. @return its path
    std::string file(const std::string& name, size_t size) const {
        const std::string path = path_ + "/" + name;
        std::ofstream(path, std::ios::binary) << std::string(size, 'x');
        return path;
    }

 private:
    std::string path_;
};

}  // namespace mooncake::nvmeof_generic
