// SPDX-License-Identifier: Apache-2.0
// What a remote host finds behind an exported file.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>

#include "file_pattern.h"
#include "kernel_fixture.h"
#include "remote_host.h"
#include "swapping_tree.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::AlignedBuffer;
using test_support::comparePattern;
using test_support::fillPattern;
using test_support::makeFile;
using test_support::readDirect;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class ExportTest : public KernelTargetTest {
 protected:
    std::string makeFileOf(const std::string& name, uint64_t size) {
        const std::string path = dir_.path() + "/" + name;
        makeFile(path, size);
        return path;
    }

    // Writes from the remote host and reads the file, and the other way round.
    static void expectSameBytes(int device, const std::string& path, uint64_t offset) {
        AlignedBuffer buffer(8192);
        fillPattern(1, offset, buffer.data(), buffer.size());
        ASSERT_EQ(pwrite(device, buffer.data(), buffer.size(), offset), 8192);
        const std::vector<uint8_t> local = readDirect(path, offset, buffer.size());
        EXPECT_EQ(comparePattern(1, offset, local.data(), local.size()), "");
        fillPattern(2, offset, buffer.data(), buffer.size());
        test_support::writeDirect(path, offset, buffer.data(), buffer.size());
        ASSERT_EQ(pread(device, buffer.data(), buffer.size(), offset), 8192);
        EXPECT_EQ(comparePattern(2, offset, buffer.data(), buffer.size()), "");
    }
};

TEST_F(ExportTest, AFile) {
    const std::string path = makeFileOf("file", 4 * kMiB);
    auto target = start();
    const auto exported = target->addFile(3, path, 4 * kMiB);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported.value().size, 4 * kMiB);
    EXPECT_EQ(exported.value().blockSize, 4096u);
    const std::string ns = nvmet("subsystems/" + target->subsystemNqn() + "/namespaces/3");
    EXPECT_EQ(readAttribute(ns + "/enable"), "1");
    EXPECT_EQ(readAttribute(ns + "/device_uuid"), namespaceUuid(target->subsystemNqn(), 3));
    EXPECT_EQ(readAttribute(ns + "/buffered_io"), "0");

    RemoteHost host(kLoopback, target->subsystemNqn());
    ASSERT_TRUE(host.connected());
    UniqueFd device = host.open(3);
    EXPECT_EQ(deviceSize(device.get()), 4 * kMiB);
    EXPECT_EQ(deviceBlockSize(device.get()), 4096u);
    expectSameBytes(device.get(), path, 0);
    expectSameBytes(device.get(), path, 4 * kMiB - 8192);
}

TEST_F(ExportTest, OverIpv6) {
    const TransportAddress address{"tcp", "ipv6", "::1", "4420"};
    const std::string path = makeFileOf("file", kMiB);
    auto target = start(address);
    ASSERT_NE(target, nullptr);
    ASSERT_TRUE(target->addFile(1, path, kMiB).ok());
    RemoteHost host(address, target->subsystemNqn());
    ASSERT_TRUE(host.connected());
    expectSameBytes(host.open(1).get(), path, 4096);
}

// Case 7: what is published is what the kernel exports.
TEST_F(ExportTest, AFileThatEndsInTheMiddleOfABlock) {
    auto target = start();
    const std::string path = makeFileOf("odd", kMiB + 100);
    const auto exported = target->addFile(1, path, kMiB + 100);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    RemoteHost host(kLoopback, target->subsystemNqn());
    EXPECT_EQ(exported.value().size, kMiB);
    EXPECT_EQ(deviceSize(host.open(1).get()), kMiB);
    EXPECT_EQ(loops(), TreeSnapshot());
}

// Case 8: bytes beyond the wanted size are out of reach.
TEST_F(ExportTest, APartOfAFile) {
    auto target = start();
    const std::string path = makeFileOf("file", 4 * kMiB);
    AlignedBuffer buffer(8192);
    fillPattern(9, kMiB, buffer.data(), buffer.size());
    test_support::writeDirect(path, kMiB, buffer.data(), buffer.size());

    const auto exported = target->addFile(1, path, kMiB + 5);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported.value().size, kMiB);
    EXPECT_EQ(exported.value().blockSize, 4096u);
    ASSERT_THAT(loops(), ElementsAre(Pair(testing::_, path)));
    EXPECT_EQ(readAttribute("/sys/block/" + loops().begin()->first + "/loop/dio"), "1");
    {
        RemoteHost host(kLoopback, target->subsystemNqn());
        UniqueFd device = host.open(1);
        EXPECT_EQ(deviceSize(device.get()), kMiB);
        EXPECT_EQ(deviceBlockSize(device.get()), 4096u);
        expectSameBytes(device.get(), path, kMiB - 8192);
        fillPattern(10, kMiB, buffer.data(), buffer.size());
        EXPECT_EQ(pwrite(device.get(), buffer.data(), 4096, kMiB), -1);
        EXPECT_EQ(pread(device.get(), buffer.data(), 4096, kMiB), 0);
    }
    const std::vector<uint8_t> beyond = readDirect(path, kMiB, 8192);
    EXPECT_EQ(comparePattern(9, kMiB, beyond.data(), beyond.size()), "");
    ASSERT_TRUE(target->removeFile(1).ok());
    EXPECT_TRUE(waitFor([&] { return loops().empty(); }));
    EXPECT_EQ(std::filesystem::file_size(path), 4 * kMiB);
}

// tmpfs refuses direct I/O before Linux 6.6.
TEST_F(ExportTest, AFileWithoutDirectIo) {
    const std::string mount = dir_.path() + "/tmpfs";
    makeFolder(mount);
    ASSERT_EQ(::mount("none", mount.c_str(), "tmpfs", 0, "size=16m,mode=0755"), 0);
    const std::string path = mount + "/file";
    makeFile(path, kMiB);
    const bool direct = UniqueFd(::open(path.c_str(), O_RDWR | O_DIRECT)).valid();
    {
        auto target = start();
        const auto exported = target->addFile(1, path, kMiB);
        ASSERT_TRUE(exported.ok()) << exported.error().message;
        const std::string ns = nvmet("subsystems/" + target->subsystemNqn() + "/namespaces/1");
        EXPECT_EQ(readAttribute(ns + "/buffered_io"), direct ? "0" : "1");
        // And a part of one, through the page cache as well.
        const std::string other = mount + "/other";
        makeFile(other, kMiB);
        ASSERT_TRUE(target->addFile(2, other, kMiB / 2).ok());

        RemoteHost host(kLoopback, target->subsystemNqn());
        AlignedBuffer buffer(4096), back(4096);
        for (const auto& [nsid, name] : {std::pair{1u, path}, {2u, other}}) {
            UniqueFd device = host.open(nsid);
            fillPattern(nsid, 4096, buffer.data(), 4096);
            ASSERT_EQ(pwrite(device.get(), buffer.data(), 4096, 4096), 4096);
            UniqueFd file(::open(name.c_str(), O_RDONLY));
            ASSERT_TRUE(waitFor([&] {  // a write cache is a write cache: flush it
                return fsync(device.get()) == 0 &&
                       pread(file.get(), back.data(), 4096, 4096) == 4096;
            }));
            EXPECT_EQ(comparePattern(nsid, 4096, back.data(), 4096), "");
        }
    }
    EXPECT_EQ(umount(mount.c_str()), 0);
}

// nvmet gives a file on overlayfs, where containers have theirs, blocks of one byte.
TEST_F(ExportTest, AFileOnOverlayfs) {
    const std::string lower = dir_.path() + "/lower", upper = dir_.path() + "/upper",
                      work = dir_.path() + "/work", merged = dir_.path() + "/merged";
    for (const std::string& folder : {lower, upper, work, merged}) makeFolder(folder);
    const std::string options = "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work;
    ASSERT_EQ(::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()), 0)
        << std::strerror(errno);
    const std::string path = merged + "/file";
    makeFile(path, kMiB);
    {
        auto target = start();
        const auto exported = target->addFile(1, path, kMiB);
        ASSERT_TRUE(exported.ok()) << exported.error().message;
        RemoteHost host(kLoopback, target->subsystemNqn());
        UniqueFd device = host.open(1);
        EXPECT_EQ(deviceSize(device.get()), kMiB);
        expectSameBytes(device.get(), path, 8192);
    }
    EXPECT_TRUE(waitFor([&] { return umount(merged.c_str()) == 0; }));
}

// Case 13: what was checked is what is exported, though its name leads elsewhere by then.
TEST_F(ExportTest, NotAFileThatTookItsPlace) {
    const std::string path = makeFileOf("file", kMiB), secret = makeFileOf("secret", kMiB);
    const std::string name = dir_.path() + "/name";
    ASSERT_EQ(symlink(path.c_str(), name.c_str()), 0);
    AlignedBuffer buffer(4096);
    fillPattern(1, 0, buffer.data(), 4096);
    test_support::writeDirect(path, 0, buffer.data(), 4096);
    fillPattern(2, 0, buffer.data(), 4096);
    test_support::writeDirect(secret, 0, buffer.data(), 4096);

    auto started = Target::start(kLoopback, options_, std::make_shared<SwappingTree>([&] {
                                     std::filesystem::remove(name);
                                     std::filesystem::create_symlink(secret, name);
                                 }));
    ASSERT_TRUE(started.ok());
    auto target = started.take();
    ASSERT_TRUE(target->addFile(1, name, kMiB).ok());
    RemoteHost host(kLoopback, target->subsystemNqn());
    ASSERT_EQ(pread(host.open(1).get(), buffer.data(), 4096, 0), 4096);
    EXPECT_EQ(comparePattern(1, 0, buffer.data(), 4096), "");
}

// Cases 6 and 13: nor is a file exported on that has lost its own name.
TEST_F(ExportTest, NotAFileThatLostItsPlace) {
    const std::string path = makeFileOf("file", kMiB), secret = makeFileOf("secret", kMiB);
    auto started = Target::start(kLoopback, options_, std::make_shared<SwappingTree>([&] {
                                     if (std::filesystem::exists(secret))
                                         std::filesystem::rename(secret, path);
                                 }));
    ASSERT_TRUE(started.ok());
    auto target = started.take();
    const TreeSnapshot before = snapshot();
    EXPECT_EQ(errorOf(target->addFile(1, path, kMiB)).code, ESTALE);
    EXPECT_EQ(snapshot(), before);
    EXPECT_TRUE(target->addFile(2, path, kMiB).ok());  // what is there now
}

// Case 20: 1024 files, and one more.
TEST_F(ExportTest, ManyFiles) {
    auto target = start();
    for (uint32_t nsid = 1; nsid <= 1024; ++nsid) {
        const auto added = target->addFile(nsid, dir_.file(std::to_string(nsid), 4096), 4096);
        ASSERT_TRUE(added.ok()) << added.error().message;
    }
    const std::string more = makeFileOf("more", 4096);
    const TreeSnapshot full = snapshot();
    EXPECT_EQ(errorOf(target->addFile(1025, more, 4096)).code, EMFILE);
    EXPECT_EQ(snapshot(), full);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
