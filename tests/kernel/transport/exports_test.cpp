// SPDX-License-Identifier: Apache-2.0
// What may be exported, to where, and how it ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "child_process.h"
#include "cluster.h"
#include "kernel_state.h"
#include "transfer_metadata.h"

namespace {

namespace fs = std::filesystem;
using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;
constexpr uid_t kNobody = 65534;

/// A file server with a configuration of its own.
class Server {
 public:
    Server(const std::string& metadata, const std::string& files, const std::string& more = "")
        : config_(testFolder() + "/exports.conf"), process_(arguments(metadata, files, more)) {}

    bool serves(const std::string& count) {
        const bool does = !process_.waitForLine("serving " + count + " files").empty();
        EXPECT_TRUE(does) << process_.output();
        return does;
    }
    ChildProcess& process() { return process_; }
    int stop() {
        process_.signal(SIGTERM);
        return process_.wait();
    }

 private:
    std::vector<std::string> arguments(const std::string& metadata, const std::string& files,
                                       const std::string& more) {
        std::ofstream(config_) << "segment = server\nmetadata = " << metadata
                               << "\nallow_any_host = yes\n"
                               << (more.empty() ? "traddr = 127.0.0.1\n" : more) << files;
        return {"transfer_engine_file_server", "--config=" + config_};
    }

    const std::string config_;
    ChildProcess process_;
};

void asNobody(const std::function<int()>& work) {
    const pid_t child = fork();
    if (child == 0) _exit(setgid(kNobody) != 0 || setuid(kNobody) != 0 ? 9 : work());
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
}

/// The block device of a namespace, by the size that no other has.
std::string importedDevice(uint64_t size) {
    std::string found;
    eventually([&] {
        for (const auto& entry : fs::directory_iterator("/sys/class/block")) {
            const std::string name = entry.path().filename();
            uint64_t sectors = 0;
            std::ifstream(entry.path() / "size") >> sectors;
            if (name.starts_with("nvme") && name.find('c') == std::string::npos &&
                sectors * 512 == size && fs::exists("/dev/" + name)) {
                found = "/dev/" + name;
            }
        }
        return !found.empty();
    });
    return found;
}

int64_t blocksOf(const std::string& path) {
    struct stat status;
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_blocks;
}

int onRange(const std::string& device, unsigned long request, uint64_t length) {
    const int fd = open(device.c_str(), O_RDWR | O_CLOEXEC);
    uint64_t range[2] = {0, length};
    const int code = fd < 0 || ioctl(fd, request, range) != 0 ? errno : 0;
    close(fd);
    return code;
}

TEST(Exports, ALinkOfAnotherUserLeadsNowhere) {
    MetadataServer metadata;
    const std::string folder = testFolder() + "/users", secret = testFolder() + "/secret";
    fs::create_directories(folder);
    ASSERT_EQ(chown(folder.c_str(), kNobody, kNobody), 0);
    std::ofstream(secret) << std::string(65536, 's');
    ASSERT_EQ(chmod(secret.c_str(), 0600), 0);
    asNobody([&] { return symlink(secret.c_str(), (folder + "/cache").c_str()); });
    asNobody([&] { return mkdir((folder + "/deep").c_str(), 0755); });
    asNobody([&] { return symlink(secret.c_str(), (folder + "/deep/cache").c_str()); });
    const std::string files =
        "[file " + folder + "/cache]\n[file " + folder + "/deep/cache]\n[file " + secret + "]\n";
    {
        Server server(metadata.url(), files);
        ASSERT_TRUE(server.serves("1 of 3"));
        EXPECT_NE(server.process().output().find("folder '" + folder + "' belongs to user 65534"),
                  std::string::npos)
            << server.process().output();
        Node initiator(metadata, "initiator");
        const SegmentID segment = initiator.engine().openSegment("server");
        const auto record = initiator.engine().getMetadata()->getSegmentDescByID(segment, true);
        ASSERT_TRUE(record);
        ASSERT_EQ(record->file_buffers.size(), 1u);
        EXPECT_EQ(record->file_buffers[0].path, secret);
        EXPECT_EQ(server.stop(), 0);
    }
    // Who wants it so gets it so.
    Server server(metadata.url(), "[file " + folder + "/cache]\npath_check = no\n");
    ASSERT_TRUE(server.serves("1 of 1"));
    EXPECT_EQ(server.stop(), 0);
    fs::remove_all(folder);
    fs::remove(secret);
}

TEST(Exports, AWildcardAddressTakesOneToPublish) {
    MetadataServer metadata;
    const std::string file = testFolder() + "/everywhere";
    makeFile(file, kSize);
    {
        TransferEngine engine(false);
        ASSERT_EQ(engine.init(metadata.url(), "wild"), 0);
        char address[] = "trtype=tcp adrfam=ipv4 traddr=0.0.0.0 trsvcid=4420";
        void* args[] = {address};
        EXPECT_EQ(engine.installTransport("nvmeof_generic", args), nullptr);
    }
    Server server(metadata.url(), "[file " + file + "]\n",
                  "traddr = 0.0.0.0\ntrsvcid = 4421\nadvertise = 127.0.0.1\n");
    ASSERT_TRUE(server.serves("1 of 1"));
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    const auto record = initiator.engine().getMetadata()->getSegmentDescByID(segment, true);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->nvmeof_generic_trid.traddr, "127.0.0.1");
    EXPECT_EQ(record->nvmeof_generic_trid.trsvcid, "4421");
    AlignedBuffer buffer(kSize);
    EXPECT_TRUE(initiator.read(segment, record->file_buffers[0].id, 0, buffer.data(), kSize));
    EXPECT_EQ(server.stop(), 0);
}

// A transport of another protocol has published its memory before.
TEST(Exports, AnotherProtocolsSegmentStays) {
    const auto before = nvmetObjects();
    MetadataServer metadata;
    makeFile(testFolder() + "/beside", kSize);
    Node target(metadata, "target", targetAddress("tcp"));
    const uint32_t file = target.add(testFolder() + "/beside", kSize);
    {
        TransferEngine engine;
        ASSERT_EQ(engine.init(metadata.url(), "beside"), 0);
        const auto published = engine.getMetadata();
        auto memory = std::make_shared<TransferMetadata::SegmentDesc>();
        memory->name = "beside";
        memory->protocol = "tcp";
        ASSERT_EQ(published->addLocalSegment(LOCAL_SEGMENT_ID, "beside", std::move(memory)), 0);
        const auto protocol = [&] {
            const auto local = published->getSegmentDescByID(LOCAL_SEGMENT_ID);
            return local ? local->protocol : "none";
        };
        // To export there, too, would make one of them unreachable.
        std::string address = targetAddress("tcp", 4421);
        void* args[] = {address.data()};
        EXPECT_EQ(engine.installTransport("nvmeof_generic", args), nullptr);
        EXPECT_EQ(protocol(), "tcp");
        ASSERT_NE(engine.installTransport("nvmeof_generic", nullptr), nullptr);
        EXPECT_EQ(protocol(), "tcp");
        const SegmentID segment = engine.openSegment("target");
        AlignedBuffer buffer(kSize);
        const BatchID batch = engine.allocateBatchID(1);
        ASSERT_TRUE(engine
                        .submitTransfer(batch, {{TransferRequest::READ, buffer.data(), segment, 0,
                                                 kSize, 0, file}})
                        .ok());
        TransferStatus status{};
        EXPECT_TRUE(eventually([&] {
            return engine.getTransferStatus(batch, 0, status).ok() &&
                   status.s != TransferStatusEnum::WAITING;
        }));
        EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
        EXPECT_TRUE(engine.freeBatchID(batch).ok());
        EXPECT_EQ(engine.uninstallTransport("nvmeof_generic"), 0);
        EXPECT_EQ(protocol(), "tcp");
    }
    target.end();
    EXPECT_EQ(nvmetObjects(), before);
}

// A container in which /sys cannot be written: what to do about it is said.
TEST(Exports, AReadOnlySys) {
    MetadataServer metadata;
    const std::string path = testFolder() + "/read-only-sys";
    makeFile(path, kSize);
    Node target(metadata, "target", targetAddress("tcp"));
    ASSERT_NE(target.add(path, kSize), 0u);
    const auto before = nvmeControllers();
    ChildProcess initiator(
        {"unshare", "-m", "sh", "-c",
         "mount -o remount,ro,bind /sys && exec transfer_engine_nvmeof_generic_bench "
         "--mode=initiator --local_server_name=initiator --segment_id=target --operation=read "
         "--block_size=4096 --duration=1 --metadata_server=" +
             metadata.url()});
    EXPECT_NE(initiator.waitForLine("/sys is read-only here"), "") << initiator.output();
    EXPECT_EQ(initiator.wait(), 0) << initiator.output();
    for (const std::string& controller : nvmeControllers()) {
        if (before.contains(controller)) continue;
        std::ofstream("/sys/class/nvme/" + controller + "/delete_controller") << "1";
    }
    EXPECT_TRUE(eventually([&] { return nvmeControllers() == before; }));
}

// A container with a /dev of its own, in which the device of a connection does not appear, or in
// which a node of its name is another device's: what is missing is said before requests fail for
// it.
TEST(Exports, ADevOfAContainer) {
    MetadataServer metadata;
    const std::string path = testFolder() + "/other-dev";
    makeFile(path, kSize);
    Node target(metadata, "target", targetAddress("tcp"));
    ASSERT_NE(target.add(path, kSize), 0u);
    const auto before = nvmeControllers();
    for (const auto& [node, said] :
         {std::pair("",
                    "cannot open /dev/nvme0n1: No such file or directory (in a container, make "
                    "the host's /dev visible"),
          {"mknod /dev/nvme0n1 b 7 77 && ", "in a container the node can be another device's"}}) {
        ChildProcess initiator(
            {"unshare", "-m", "sh", "-c",
             "kept=$(mktemp -d) && cp -a /dev/null /dev/zero /dev/random /dev/urandom "
             "/dev/nvme-fabrics $kept && mount -t tmpfs none /dev && cp -a $kept/* /dev && " +
                 std::string(node) +
                 "MC_NVMEOF_GENERIC_CONNECT_TIMEOUT=4 exec transfer_engine_nvmeof_generic_bench "
                 "--mode=initiator --local_server_name=initiator --segment_id=target "
                 "--operation=read --block_size=4096 --duration=1 --metadata_server=" +
                 metadata.url()});
        EXPECT_NE(initiator.waitForLine(said), "") << initiator.output();
        EXPECT_NE(initiator.wait(), 0);
        EXPECT_NE(initiator.output().find("gave no answer in time; waiting for the device of"),
                  std::string::npos)
            << initiator.output();
        EXPECT_TRUE(eventually([&] { return nvmeControllers() == before; }));
    }
}

// The kernel refuses, whatever a host tries; local changes are seen.
TEST(Exports, AReadOnlyFileStaysAsItIs) {
    const auto before = nvmetObjects();
    const auto loops = boundLoopDevices();
    MetadataServer metadata;
    constexpr size_t kUnlike = kSize + 5 * 4096;
    const std::string file = testFolder() + "/archive";
    std::string disk = getenv("NVMEOF_TEST_DISKS");
    disk = disk.substr(0, disk.find(' '));
    std::vector<uint8_t> pattern(kUnlike);
    fillPattern(11, 0, pattern.data(), kUnlike);
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(pattern.data()),
               static_cast<std::streamsize>(kUnlike));
    const int64_t blocks = blocksOf(file);
    Server server(metadata.url(),
                  "[file " + file + "]\nread_only = yes\n[file " + disk + "]\nread_only = yes\n");
    ASSERT_TRUE(server.serves("2 of 2"));
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    const auto record = initiator.engine().getMetadata()->getSegmentDescByID(segment, true);
    ASSERT_TRUE(record);
    AlignedBuffer buffer(kUnlike);
    for (const auto& exported : record->file_buffers) {
        EXPECT_TRUE(initiator.read(segment, exported.id, 0, buffer.data(), kSize));
        std::memset(buffer.data(), 0xee, kSize);
        EXPECT_FALSE(initiator.write(segment, exported.id, 0, buffer.data(), kSize));
        EXPECT_TRUE(initiator.read(segment, exported.id, 0, buffer.data(), kSize));
        EXPECT_NE(buffer.data()[0], 0xee);
    }
    const uint32_t id = record->file_buffers[0].path == file ? record->file_buffers[0].id
                                                             : record->file_buffers[1].id;
    ASSERT_TRUE(initiator.read(segment, id, 0, buffer.data(), kUnlike));
    EXPECT_EQ(comparePattern(11, 0, buffer.data(), kUnlike), "");
    // Without our initiator in between.
    const std::string device = importedDevice(kUnlike);
    ASSERT_NE(device, "");
    std::memset(buffer.data(), 0xdd, kUnlike);
    const int fd = open(device.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(pwrite(fd, buffer.data(), 4096, 0), -1);
    close(fd);
    // Linux 6.12 may say that it is done. What counts is below.
    onRange(device, BLKDISCARD, kSize);
    EXPECT_NE(onRange(device, BLKZEROOUT, kSize), 0);
    const auto now = readDirect(file, 0, kSize);
    EXPECT_EQ(comparePattern(11, 0, now.data(), kSize), "");
    EXPECT_EQ(blocksOf(file), blocks);
    // What a local program writes is what remote ones read.
    fillPattern(12, 0, pattern.data(), kUnlike);
    {
        std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
        out.write(reinterpret_cast<const char*>(pattern.data()),
                  static_cast<std::streamsize>(kUnlike));
    }
    ASSERT_TRUE(initiator.read(segment, id, 0, buffer.data(), kUnlike));
    EXPECT_EQ(comparePattern(12, 0, buffer.data(), kUnlike), "");
    initiator.end();
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(nvmetObjects(), before);
    EXPECT_TRUE(eventually([&] { return boundLoopDevices() == loops; }));
}

// What the udev rules of the packages go by, which keep everybody else off such devices.
int loopId(const std::string& loop) {
    ChildProcess program({"nvmeof_generic_loop_id", "/dev/" + loop});
    return program.wait();
}

TEST(Exports, ADiscardTakesNoSpaceFromAPartOfAFile) {
    MetadataServer metadata;
    const std::string file = testFolder() + "/part";
    makeFile(file, 2 * kSize);
    const auto loops = boundLoopDevices();
    for (const std::string& other : loops) EXPECT_EQ(loopId(other), 1) << other;
    Server server(metadata.url(), "[file " + file + "]\nid = 1\nsize = 1028K\n");
    ASSERT_TRUE(server.serves("1 of 1"));
    for (const std::string& loop : boundLoopDevices()) {
        EXPECT_EQ(loopId(loop), loops.contains(loop) ? 1 : 0) << loop;
    }
    EXPECT_GT(boundLoopDevices().size(), loops.size());
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    AlignedBuffer buffer(4096);
    ASSERT_TRUE(initiator.read(segment, 1, 0, buffer.data(), 4096));
    const std::string device = importedDevice(kSize + 4096);
    ASSERT_NE(device, "");
    const int64_t before = blocksOf(file);
    const int code = onRange(device, BLKDISCARD, kSize);
    RecordProperty("discard", std::strerror(code));
    EXPECT_EQ(blocksOf(file), before);
    initiator.end();
    EXPECT_EQ(server.stop(), 0);
}

// docs/operations.md says what a whole file loses by it.
TEST(Exports, ADiscardTakesSpaceFromAWholeFile) {
    MetadataServer metadata;
    constexpr size_t kWhole = kSize + 7 * 4096;
    const std::string file = testFolder() + "/whole";
    std::ofstream(file, std::ios::binary) << std::string(kWhole, 'w');
    Server server(metadata.url(), "[file " + file + "]\nid = 1\n");
    ASSERT_TRUE(server.serves("1 of 1"));
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    AlignedBuffer buffer(4096);
    ASSERT_TRUE(initiator.read(segment, 1, 0, buffer.data(), 4096));
    const std::string device = importedDevice(kWhole);
    ASSERT_NE(device, "");
    const int64_t before = blocksOf(file);
    ASSERT_EQ(onRange(device, BLKDISCARD, kSize), 0);
    EXPECT_LT(blocksOf(file), before);
    ASSERT_TRUE(initiator.read(segment, 1, kSize, buffer.data(), 4096));
    EXPECT_EQ(buffer.data()[0], 'w') << "what was not discarded stays";
    EXPECT_TRUE(initiator.write(segment, 1, 0, buffer.data(), 4096));
    EXPECT_EQ(readDirect(file, 0, 4096), std::vector<uint8_t>(4096, 'w'));
    initiator.end();
    EXPECT_EQ(server.stop(), 0);
}

// The kernel of an initiator reads partition tables in what it imports (docs/security.md); the
// file's own bytes are reached all the same.
TEST(Exports, APartitionTableInAFileIsTheKernelsToRead) {
    MetadataServer metadata;
    constexpr size_t kDisk = 4 * kSize + 9 * 4096;
    const std::string file = testFolder() + "/disk-image";
    std::string content(kDisk, 'd');
    // An MBR with one partition of type 0x83: 64 sectors from the 64th on.
    std::fill_n(content.begin(), 512, '\0');
    content[446 + 4] = '\x83';
    content[446 + 8] = content[446 + 12] = '\x40';
    content[510] = '\x55';
    content[511] = '\xaa';
    std::ofstream(file, std::ios::binary) << content;
    Server server(metadata.url(), "[file " + file + "]\nid = 1\n");
    ASSERT_TRUE(server.serves("1 of 1"));
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    AlignedBuffer buffer(kDisk);
    ASSERT_TRUE(initiator.read(segment, 1, 0, buffer.data(), kDisk));
    EXPECT_EQ(std::memcmp(buffer.data(), content.data(), kDisk), 0);
    const std::string device = importedDevice(kDisk);
    ASSERT_NE(device, "");
    // By this model the udev rules know it, and its partitions.
    const std::string name = fs::path(device).filename();
    std::string model;
    std::getline(std::ifstream("/sys/class/block/" + name + "/device/model"), model);
    EXPECT_EQ(model.substr(0, model.find_last_not_of(' ') + 1), "Mooncake file segment");
    const std::string partition = device + "p1";
    EXPECT_TRUE(eventually([&] { return fs::exists(partition); })) << partition;
    // Over what the partition is.
    std::memset(buffer.data(), 'e', 32768);
    EXPECT_TRUE(initiator.write(segment, 1, 32768, buffer.data(), 32768));
    EXPECT_EQ(readDirect(file, 32768, 32768), std::vector<uint8_t>(32768, 'e'));
    EXPECT_EQ(readDirect(file, 65536, 4096), std::vector<uint8_t>(4096, 'd'));
    initiator.end();
    EXPECT_TRUE(eventually([&] { return !fs::exists(partition); }));
    EXPECT_EQ(server.stop(), 0);
}

std::set<std::string> linkedSubsystems() {
    std::set<std::string> links;
    for (const auto& port : fs::directory_iterator("/sys/kernel/config/nvmet/ports")) {
        for (const auto& link : fs::directory_iterator(port.path() / "subsystems")) {
            links.insert(link.path().filename());
        }
    }
    return links;
}

// Nobody reads or writes any more while the server still waits for a metadata service that is away.
TEST(Exports, AStopEndsTheServiceBeforeAnythingElse) {
    ChildProcess store({"transfer_engine_metadata_server", "--host", "127.0.0.1", "--port", "0"});
    const std::string line = store.waitForLine("listening on ");
    const size_t url = line.find("http://");
    ASSERT_NE(url, std::string::npos) << store.output();
    std::string address = line.substr(url, line.find(' ', url) - url);
    if (address.find("/metadata") == std::string::npos) address += "/metadata";
    const std::string file = testFolder() + "/stopped";
    const auto before = nvmetObjects();
    makeFile(file, kSize);
    Server server(address, "[file " + file + "]\n");
    ASSERT_TRUE(server.serves("1 of 1"));
    EXPECT_EQ(linkedSubsystems().size(), 1u);
    store.pause();
    server.process().signal(SIGTERM);
    EXPECT_TRUE(eventually([] { return linkedSubsystems().empty(); }));
    EXPECT_EQ(server.process().waitForLine("store does not answer", std::chrono::seconds(1)), "")
        << "it waited for the metadata service first";
    EXPECT_TRUE(server.process().running());
    // 1: the record is still in the store.
    EXPECT_EQ(server.process().wait(std::chrono::seconds(180)), 1) << server.process().output();
    EXPECT_EQ(nvmetObjects(), before);
    store.signal(SIGCONT);
    fs::remove(file);
}

}  // namespace
