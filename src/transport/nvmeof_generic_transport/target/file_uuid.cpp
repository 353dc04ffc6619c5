// SPDX-License-Identifier: Apache-2.0
#include "file_uuid.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <optional>
#include <string_view>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

// The name space of these UUIDs. It may never change: a file would become another one.
constexpr char kFileUuidSpace[] = "2f6c9a70-51c4-4d0b-8a6e-6d2a3f3f7c15";

std::string uuidOf(const std::string& facts) {
    uuid_t space, uuid;
    char text[UUID_STR_LEN];
    uuid_parse(kFileUuidSpace, space);
    uuid_generate_sha1(uuid, space, facts.data(), facts.size());
    uuid_unparse_lower(uuid, text);
    return text;
}

std::string hex(const void* bytes, size_t count) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (size_t i = 0; i < count; ++i) {
        const unsigned byte = static_cast<const unsigned char*>(bytes)[i];
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

// ext4's answer, the same on every kernel since 6.0 (fs/ext4/ext4.h, EXT4_IOC_GETFSUUID).
struct Ext4FsUuid {
    uint32_t length;
    uint32_t flags;
    std::array<uint8_t, 16> uuid;
};

// XFS's, of old (fs/xfs/libxfs/xfs_fs.h, XFS_IOC_FSGEOMETRY_V1).
struct XfsGeometry {
    std::array<uint32_t, 8> sizes;
    std::array<uint64_t, 4> counts;
    std::array<uint8_t, 16> uuid;
    std::array<uint32_t, 8> more;
};
static_assert(sizeof(XfsGeometry) == 112);

// Asked of ext4 and XFS alone, in a way that all kernels know: the answer must not change with the
// kernel. Others say it in f_fsid; XFS says there which device it lies on, which changes.
std::optional<std::string> fileSystemUuid(int fd, long type) {
    if (type == EXT4_SUPER_MAGIC) {
        Ext4FsUuid answer{16, 0, {}};
        // The kernel's type ends in an array without a length: the number has the head's size.
        constexpr auto kGetFsUuid = _IOC(_IOC_READ, 'f', 44, 2 * sizeof(uint32_t));
        if (::ioctl(fd, kGetFsUuid, &answer) == 0) return hex(answer.uuid.data(), 16);
    }
    if (type == XFS_SUPER_MAGIC) {
        XfsGeometry answer{};
        constexpr auto kGeometry = _IOC(_IOC_READ, 'X', 100, sizeof(XfsGeometry));
        if (::ioctl(fd, kGeometry, &answer) == 0) return hex(answer.uuid.data(), 16);
    }
    return std::nullopt;
}

std::string fileSystemFacts(int fd, const std::string& name) {
    struct statfs system {};
    if (::fstatfs(fd, &system) != 0) return "none at " + name;
    const auto type = static_cast<long>(system.f_type);
    std::string facts = "type " + std::to_string(type);
    if (const auto uuid = fileSystemUuid(fd, type)) return facts + " uuid " + *uuid;
    constexpr fsid_t kNone{};
    if (type == XFS_SUPER_MAGIC || std::memcmp(&system.f_fsid, &kNone, sizeof(kNone)) == 0) {
        return facts + " at " + name;
    }
    return facts + " fsid " + hex(&system.f_fsid, sizeof(system.f_fsid));
}

// One line of a file in sysfs; "" for none.
std::string readLine(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) return "";
    std::array<char, 1024> buffer;
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    std::string_view text(buffer.data(), static_cast<size_t>(std::max<ssize_t>(got, 0)));
    text = text.substr(0, text.find('\n'));
    const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    return std::string(text);
}

// What a disk is called in this world, whatever machine it is in. All that there is: two disks of a
// careless maker may have one of them in common.
std::string diskFacts(const std::string& disk) {
    std::string facts;
    for (const char* name :
         {"wwid", "device/wwid", "serial", "device/serial", "dm/uuid", "md/uuid"}) {
        const std::string value = readLine(disk + "/" + name);
        if (!value.empty()) facts += std::string(" ") + name + " " + value;
    }
    return facts;
}

}  // namespace

std::string regularFileUuid(int fd, const struct stat& status, const std::string& name) {
    std::string facts =
        "file on " + fileSystemFacts(fd, name) + " inode " + std::to_string(status.st_ino);
    // The kernel writes an int, whatever the ioctl's number says.
    long generation = 0;
    if (::ioctl(fd, FS_IOC_GETVERSION, &generation) == 0) {
        facts += " generation " + std::to_string(static_cast<unsigned>(generation));
    }
    struct statx more {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &more) == 0 &&
        (more.stx_mask & STATX_BTIME) != 0) {
        facts += " born " + std::to_string(more.stx_btime.tv_sec) + "." +
                 std::to_string(more.stx_btime.tv_nsec);
    }
    return uuidOf(facts);
}

std::string blockDeviceUuid(dev_t device, const DeviceFacts& facts) {
    const std::string number = std::to_string(major(device)) + ":" + std::to_string(minor(device));
    const std::string folder = facts.sysRoot + "/dev/block/" + number;
    const std::string partition = readLine(folder + "/partition");
    // The folder of a partition lies in that of its disk.
    const std::string disk = partition.empty() ? folder : folder + "/..";
    std::string text = diskFacts(disk);
    if (text.empty()) {
        text = " boot " + readLine(facts.bootIdFile) + " sequence " + readLine(disk + "/diskseq") +
               " number " + number;
    }
    if (!partition.empty()) {
        text += " partition " + partition + " from " + readLine(folder + "/start");
    }
    return uuidOf("device" + text);
}

}  // namespace mooncake::nvmeof_generic
