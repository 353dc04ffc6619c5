// SPDX-License-Identifier: Apache-2.0
#include "content_probe.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace mooncake::store {
namespace {

struct FreeProbe {
    void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};

// libblkid reads at any offset, which direct I/O does not allow.
class Buffered {
 public:
    explicit Buffered(int fd)
        : fd_(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~Buffered() {
        if (fd_ >= 0) ::close(fd_);
    }
    Buffered(const Buffered&) = delete;
    Buffered& operator=(const Buffered&) = delete;
    int get() const { return fd_; }

 private:
    const int fd_;
};

std::string valueOf(blkid_probe probe, const char* name) {
    const char* value = nullptr;
    return blkid_probe_lookup_value(probe, name, &value, nullptr) == 0 ? value : "";
}

}  // namespace

Result<std::string> probeContent(int fd) {
    const Buffered file(fd);
    const std::unique_ptr<struct blkid_struct_probe, FreeProbe> probe(blkid_new_probe());
    if (!probe || blkid_probe_set_device(probe.get(), file.get(), 0, 0) != 0) {
        return failed(Failure::kUnavailable, "libblkid cannot look at the file");
    }
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
    blkid_probe_enable_partitions(probe.get(), 1);
    // One after the other: any of them is enough.
    for (;;) {
        const int found = blkid_do_probe(probe.get());
        if (found == 1) return std::string();
        if (found < 0) return failed(Failure::kUnavailable, "libblkid cannot read the file");
        if (std::string table = valueOf(probe.get(), "PTTYPE"); !table.empty()) {
            return table + " partition table";
        }
        if (std::string type = valueOf(probe.get(), "TYPE"); !type.empty()) {
            const std::string usage = valueOf(probe.get(), "USAGE");
            return type + (usage == "filesystem" ? " file system"
                           : usage == "raid"     ? " member of a volume or array"
                           : usage == "crypto"   ? " encrypted volume"
                                                 : " (" + usage + ")");
        }
    }
}

}  // namespace mooncake::store
