// SPDX-License-Identifier: Apache-2.0
// What every kernel test relies on before it starts: a kernel with nvmet and nvme-tcp ready, a
// folder with direct I/O, and the disks it asked for. It uses nothing of the project, so that a
// failure here is the test bed's own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr size_t kBlock = 4096;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

struct Free {
    void operator()(char* memory) const { std::free(memory); }
};
using AlignedBlock = std::unique_ptr<char, Free>;

AlignedBlock alignedBlock(char fill) {
    AlignedBlock block(static_cast<char*>(std::aligned_alloc(kBlock, kBlock)));
    std::memset(block.get(), fill, kBlock);
    return block;
}

// Writes one block with direct I/O and reads it back the same way.
void expectDirectIo(const std::string& path, int extra_flags) {
    int fd = open(path.c_str(), O_RDWR | O_DIRECT | extra_flags, 0600);
    ASSERT_GE(fd, 0) << path << ": " << std::strerror(errno);
    AlignedBlock written = alignedBlock('w');
    AlignedBlock read = alignedBlock('r');
    EXPECT_EQ(pwrite(fd, written.get(), kBlock, kBlock), static_cast<ssize_t>(kBlock))
        << path << ": " << std::strerror(errno);
    EXPECT_EQ(pread(fd, read.get(), kBlock, kBlock), static_cast<ssize_t>(kBlock))
        << path << ": " << std::strerror(errno);
    EXPECT_EQ(std::memcmp(written.get(), read.get(), kBlock), 0) << path;
    close(fd);
}

TEST(VmSmoke, RunsAsRoot) {
    EXPECT_EQ(geteuid(), 0U);
}

TEST(VmSmoke, NvmetIsInConfigfs) {
    for (const char* folder : {"subsystems", "ports", "hosts"}) {
        EXPECT_TRUE(
            std::filesystem::is_directory(std::string("/sys/kernel/config/nvmet/") + folder))
            << folder;
    }
}

TEST(VmSmoke, NvmetTcpServesAPort) {
    // The kernel accepts the transport type only if nvmet-tcp is there: linking a subsystem starts
    // the listener.
    const std::filesystem::path root = "/sys/kernel/config/nvmet";
    const auto port = root / "ports/60001";
    const auto subsystem = root / "subsystems/nqn.2024-01.test:vm-smoke";
    const auto link = port / "subsystems/vm-smoke";
    std::filesystem::create_directory(subsystem);
    std::filesystem::create_directory(port);
    for (const auto& [name, value] : {std::pair{"addr_trtype", "tcp"},
                                      {"addr_adrfam", "ipv4"},
                                      {"addr_traddr", "127.0.0.1"},
                                      {"addr_trsvcid", "60001"}}) {
        std::ofstream(port / name) << value << std::flush;
    }
    std::error_code error;
    std::filesystem::create_directory_symlink(subsystem, link, error);
    EXPECT_FALSE(error) << error.message();
    std::filesystem::remove(link, error);
    EXPECT_TRUE(std::filesystem::remove(port, error)) << error.message();
    EXPECT_TRUE(std::filesystem::remove(subsystem, error)) << error.message();
}

TEST(VmSmoke, InitiatorTakesTcp) {
    std::ifstream options("/dev/nvme-fabrics");
    ASSERT_TRUE(options) << "/dev/nvme-fabrics: " << std::strerror(errno);
    EXPECT_TRUE(std::filesystem::exists("/sys/module/nvme_tcp"));
}

TEST(VmSmoke, FolderHasDirectIo) {
    const std::string folder = environment("NVMEOF_TEST_DIR");
    ASSERT_TRUE(std::filesystem::is_directory(folder)) << "NVMEOF_TEST_DIR is '" << folder << "'";
    struct stat status {};
    ASSERT_EQ(stat(folder.c_str(), &status), 0) << folder << ": " << std::strerror(errno);
    EXPECT_EQ(status.st_blksize, static_cast<blksize_t>(kBlock));
    expectDirectIo(folder + "/direct", O_CREAT | O_EXCL);
    EXPECT_EQ(unlink((folder + "/direct").c_str()), 0);
}

TEST(VmSmoke, DisksAreThere) {
    std::istringstream list(environment("NVMEOF_TEST_DISKS"));
    std::vector<uint64_t> sizes;
    for (std::string disk; list >> disk;) {
        int fd = open(disk.c_str(), O_RDONLY | O_CLOEXEC);
        ASSERT_GE(fd, 0) << disk << ": " << std::strerror(errno);
        uint64_t bytes = 0;
        EXPECT_EQ(ioctl(fd, BLKGETSIZE64, &bytes), 0) << disk << ": " << std::strerror(errno);
        close(fd);
        sizes.push_back(bytes);
        expectDirectIo(disk, 0);
    }
    EXPECT_EQ(sizes, (std::vector<uint64_t>{uint64_t{64} << 20, uint64_t{32} << 20}));
}

}  // namespace
