// SPDX-License-Identifier: Apache-2.0
#include "kernel_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mooncake::nvmeof_generic {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

KernelTargetTest::KernelTargetTest()
    : dir_(environment("NVMEOF_TEST_DIR")), treeBefore_(snapshot()), loopsBefore_(loops()) {
    EXPECT_EQ(run("modprobe loop"), 0);
}

void KernelTargetTest::TearDown() {
    EXPECT_EQ(snapshot(), treeBefore_);
    // A loop device detaches itself when its last user has gone, which may be udev.
    EXPECT_TRUE(waitFor([&] { return loops() == loopsBefore_; }));
}

std::unique_ptr<Target> KernelTargetTest::start(const TransportAddress& address) {
    auto started = tryStart(address);
    if (started.ok()) return started.take();
    ADD_FAILURE() << started.error().message;
    return nullptr;
}

std::vector<std::string> KernelTargetTest::disks() {
    std::istringstream list(environment("NVMEOF_TEST_DISKS"));
    std::vector<std::string> disks;
    for (std::string disk; list >> disk;) disks.push_back(disk);
    return disks;
}

TreeSnapshot KernelTargetTest::loops() {
    TreeSnapshot loops;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
        std::ifstream file(entry.path() / "loop/backing_file");
        if (file) std::getline(file, loops[entry.path().filename()]);
    }
    return loops;
}

void makeFolder(const std::string& path) {
    ASSERT_EQ(mkdir(path.c_str(), 0755), 0) << path << ": " << std::strerror(errno);
}

void removeFolder(const std::string& path) {
    ASSERT_EQ(rmdir(path.c_str()), 0) << path << ": " << std::strerror(errno);
}

void writeAttribute(const std::string& path, const std::string& value) {
    std::ofstream file(path);
    file << value << std::flush;
    ASSERT_TRUE(file.good()) << path << ": " << std::strerror(errno);
}

std::string readAttribute(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

int run(const std::string& command) {
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace mooncake::nvmeof_generic
