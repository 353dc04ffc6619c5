// SPDX-License-Identifier: Apache-2.0
// fault_target <network namespace or -> <metadata url> <name> <address> <control fifo> <file>...
//
// A target that a test can kill. It lives in a network namespace of its own, as if it were another
// host, exports the files with their sizes, and does what it reads from the fifo: "add <path>",
// "remove <path>", "end". It prints "added <id> <path>" for each file, "ready", and "done <n>"
// after the n-th command.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "transfer_engine.h"

namespace {

bool enter(const std::string& networkNamespace) {
    if (networkNamespace == "-") return true;
    const int fd = open(("/run/netns/" + networkNamespace).c_str(), O_RDONLY | O_CLOEXEC);
    const bool done = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
    if (fd >= 0) close(fd);
    return done;
}

bool add(mooncake::TransferEngine& engine, const std::string& path) {
    struct stat status {};
    mooncake::FileBufferID id = 0;
    if (stat(path.c_str(), &status) != 0) return false;
    uint64_t size = static_cast<uint64_t>(status.st_size);
    if (S_ISBLK(status.st_mode)) {
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        size = static_cast<uint64_t>(lseek(fd, 0, SEEK_END));
        close(fd);
    }
    if (engine.registerLocalFile(path, size, id) != 0) return false;
    std::cout << "added " << id << " " << path << std::endl;
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6 || !enter(argv[1])) return 2;
    mooncake::TransferEngine engine(false);
    if (engine.init(argv[2], argv[3]) != 0) return 3;
    void* arguments[] = {argv[4]};
    if (engine.installTransport("nvmeof_generic", arguments) == nullptr) return 4;
    for (int i = 6; i < argc; ++i) {
        if (!add(engine, argv[i])) return 5;
    }
    std::cout << "ready" << std::endl;
    // A reader that is a writer, too, never sees the end of the fifo.
    std::fstream control(argv[5], std::ios::in | std::ios::out);
    int commands = 0;
    for (std::string line; std::getline(control, line);) {
        std::istringstream words(line);
        std::string verb, path;
        words >> verb >> path;
        if (verb == "end") return 0;
        if (verb == "add" && !add(engine, path)) return 6;
        if (verb == "remove" && engine.unregisterLocalFile(path) != 0) return 7;
        std::cout << "done " << ++commands << " of now" << std::endl;
    }
    return 8;
}
