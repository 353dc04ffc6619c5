// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace mooncake::test {

// A folder of files of its own.
class Folder {
 public:
    Folder() {
        std::string pattern = testing::TempDir() + "folder_XXXXXX";
        EXPECT_NE(mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string at(const std::string& name) const { return path_ + "/" + name; }
    // @return its path
    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        std::ofstream(at(name)) << text;
        EXPECT_EQ(chmod(at(name).c_str(), mode), 0);
        return at(name);
    }

 private:
    std::string path_;
};

// An authority "ca", and certificates that it has signed: "server" for 127.0.0.1, "elsewhere" for a
// name that nobody has, "client". "other" is an authority that has signed nothing. Each is
// NAME.pem with NAME.key.
class Certificates : public Folder {
 public:
    Certificates() {
        make("ca", "-x509");
        make("other", "-x509");
        const std::string signed_by_ca = "-x509 -CA " + at("ca.pem") + " -CAkey " + at("ca.key");
        make("server", signed_by_ca + " -addext subjectAltName=IP:127.0.0.1");
        make("client", signed_by_ca + " -addext subjectAltName=IP:127.0.0.1");
        make("elsewhere", signed_by_ca + " -addext subjectAltName=DNS:elsewhere.invalid");
    }

 private:
    void make(const std::string& name, const std::string& options) const {
        const std::string command =
            "cd " + at("") + " && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc" +
            " -keyout " + name + ".key -out " + name + ".pem -days 2 -subj /O=" + name + " " +
            options + " > log 2>&1";
        EXPECT_EQ(std::system(command.c_str()), 0) << command;
    }
};

}  // namespace mooncake::test
