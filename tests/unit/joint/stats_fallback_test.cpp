// SPDX-License-Identifier: Apache-2.0
// The file of counters on a file system that makes none without a name, beside somebody who is
// quicker with every name that is tried first.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "stats_text.h"
#include "transport/nvmeof_generic_transport/common/replace_file.h"

namespace {

// While it is set: O_TMPFILE fails, and the first names that are to be made are links to it.
const char* victim = nullptr;
int linksLeft = 0;

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
    using Open = int (*)(const char*, int, ...);
    static const auto real = reinterpret_cast<Open>(::dlsym(RTLD_NEXT, "open"));
    mode_t mode = 0;
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (victim != nullptr && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (victim != nullptr && (flags & O_CREAT) != 0 && linksLeft > 0) {
        --linksLeft;
        if (::symlink(victim, path) != 0) std::abort();
    }
    return real(path, flags, mode);
}

namespace mooncake::nvmeof_generic {
namespace {

TEST(StatsFile, WithoutTemporaryFilesFollowsNoLinkEither) {
    std::string folder = "/tmp/stats.XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/stats", mine = folder + "/mine";
    std::ofstream(mine) << "mine";
    linksLeft = 1;
    victim = mine.c_str();
    const auto replaced = replaceFile(path, "counted");
    victim = nullptr;
    ASSERT_TRUE(replaced.ok()) << replaced.error().message;
    EXPECT_EQ(linksLeft, 0);
    std::string found;
    std::ifstream(mine) >> found;
    EXPECT_EQ(found, "mine");
    std::ifstream(path) >> found;
    EXPECT_EQ(found, "counted");
    EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(path)));
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
