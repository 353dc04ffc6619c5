// SPDX-License-Identifier: Apache-2.0
#include "io_queues.h"

#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>

#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

// Dataset Management with one empty range and nothing that it asks for: what nvmet
// (drivers/nvme/target/io-cmd-bdev.c, io-cmd-file.c) answers without the disk.
constexpr uint8_t kDatasetManagement = 0x09;
constexpr uint32_t kTimeoutMs = 500;

// "0, 1, 5" of block/blk-mq-sysfs.c.
cpu_set_t readProcessors(const std::string& text) {
    cpu_set_t set;
    CPU_ZERO(&set);
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        unsigned number = 0;
        const auto [next, error] = std::from_chars(at, end, number);
        if (error == std::errc() && number < CPU_SETSIZE) CPU_SET(number, &set);
        at = error == std::errc() ? next : at + 1;
    }
    return set;
}

}  // namespace

Result<std::vector<cpu_set_t>> ioQueueProcessors(int controllerDir) {
    cpu_set_t own;
    if (sched_getaffinity(0, sizeof(own), &own) != 0) {
        return makeError(errno, "cannot find out this thread's processors");
    }
    auto entries = listFolder(controllerDir, ".");
    if (!entries.ok()) return entries.error();
    // All namespaces of a controller share its queues: the first that has any tells.
    for (const std::string& entry : entries.value()) {
        const std::string folder = entry + "/mq";
        const auto queues = listFolder(controllerDir, folder);
        if (!queues.ok()) continue;
        std::vector<cpu_set_t> found;
        for (const std::string& queue : queues.value()) {
            const auto list = readAttribute(controllerDir, folder + "/" + queue + "/cpu_list");
            if (!list.ok()) continue;
            cpu_set_t set = readProcessors(list.value());
            CPU_AND(&set, &set, &own);
            if (CPU_COUNT(&set) > 0) found.push_back(set);
        }
        if (!found.empty()) return found;
    }
    return makeError(ENOENT, "the controller has no namespace");
}

void provokeQueueAnswer(int device) {
    const int nsid = ioctl(device, NVME_IOCTL_ID);
    if (nsid <= 0) return;  // gone
    struct {
        uint32_t attributes, blocks;
        uint64_t first;
    } range{};
    nvme_passthru_cmd64 command{};
    command.opcode = kDatasetManagement;
    command.nsid = static_cast<uint32_t>(nsid);
    command.addr = reinterpret_cast<uintptr_t>(&range);
    command.data_len = sizeof(range);
    command.timeout_ms = kTimeoutMs;
    // Whatever the answer is, it is one.
    static_cast<void>(ioctl(device, NVME_IOCTL_IO64_CMD, &command));
}

}  // namespace mooncake::nvmeof_generic
