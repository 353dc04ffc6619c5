// SPDX-License-Identifier: Apache-2.0
// nvmeof_generic_loop_id <device>: whether a loop device is one through which the transport exports
// a file. Exit status: 0 it is; 1 it is not; 2 wrong usage. packaging/udev's rules ask it: sysfs
// shows nothing by which they could tell.
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const int device = open(argv[1], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (device < 0) return 1;
    loop_info64 info;
    std::memset(&info, 0, sizeof(info));
    const bool known = ioctl(device, LOOP_GET_STATUS64, &info) == 0;
    close(device);
    // target/loop_device.cpp gives it this name.
    constexpr char kName[] = "mooncake-nvmeof-generic";
    return known && std::memcmp(info.lo_file_name, kName, sizeof(kName)) == 0 ? 0 : 1;
}
