// SPDX-License-Identifier: Apache-2.0
// The daemon of a node that serves files, as its operator sees it.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "child_process.h"
#include "cluster.h"
#include "http_client.h"
#include "kernel_state.h"
#include "transfer_metadata.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;

/// Writes one file over and over, and reads it back.
class Load {
 public:
    Load(Node& node, SegmentID segment, uint32_t file)
        : thread_([this, &node, segment, file] {
              AlignedBuffer buffer(kSize);
              for (uint64_t round = 1; !stop_; ++round) {
                  fillPattern(round, 0, buffer.data(), kSize);
                  const bool wrote = node.write(segment, file, 0, buffer.data(), kSize);
                  if (!wrote || !node.read(segment, file, 0, buffer.data(), kSize) ||
                      !comparePattern(round, 0, buffer.data(), kSize).empty()) {
                      ++failed_;
                  }
                  rounds_ = round;
              }
          }) {}
    ~Load() { end(); }

    void end() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    uint64_t rounds() const { return rounds_; }
    uint64_t failed() const { return failed_; }

 private:
    std::atomic<bool> stop_ = false;
    std::atomic<uint64_t> rounds_ = 0, failed_ = 0;
    std::thread thread_;
};

TEST(FileServer, ReloadsWithoutTouchingWhatStays) {
    const auto before = nvmetObjects();
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    const std::string stays = folder + "/stays", goes = folder + "/goes", comes = folder + "/comes";
    for (const std::string& file : {stays, goes, comes}) makeFile(file, kSize);
    const auto configure = [&](const std::string& files) {
        std::ofstream(config) << "segment = server\nmetadata = " << metadata.url()
                              << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n"
                              << files;
    };
    configure("[file " + stays + "]\n[file " + goes + "]\nsize = 512K\n");
    ChildProcess server({"transfer_engine_file_server", "--config=" + config});
    ASSERT_NE(server.waitForLine("serving 2 of 2 files"), "") << server.output();

    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    const auto published = [&] {
        std::map<std::string, FileBufferID> ids;
        const auto record = initiator.engine().getMetadata()->getSegmentDescByID(segment, true);
        if (!record) return ids;
        for (const auto& file : record->file_buffers) ids[file.path] = file.id;
        return ids;
    };
    auto first = published();
    ASSERT_EQ(first.size(), 2u);
    AlignedBuffer buffer(kSize);
    EXPECT_TRUE(initiator.read(segment, first[goes], 0, buffer.data(), kSize / 2));
    EXPECT_FALSE(initiator.read(segment, first[goes], kSize / 2, buffer.data(), 4096));

    Load load(initiator, segment, first[stays]);
    auto goesOn = [&, from = uint64_t{0}]() mutable {
        const bool moved = eventually([&] { return load.rounds() > from + 2; });
        from = load.rounds();
        return moved;
    };
    EXPECT_TRUE(goesOn());

    // One comes, one goes, one is not there.
    configure("[file " + comes + "]\n[file " + stays + "]\n[file /no/such/file]\n");
    server.signal(SIGHUP);
    ASSERT_NE(server.waitForLine("files: 1 added, 1 taken back, 1 failed"), "") << server.output();
    auto second = published();
    EXPECT_EQ(second.size(), 2u);
    EXPECT_EQ(second[stays], first[stays]);
    EXPECT_TRUE(initiator.read(segment, second[comes], 0, buffer.data(), kSize));
    EXPECT_FALSE(initiator.read(segment, first[goes], 0, buffer.data(), 4096));
    EXPECT_TRUE(goesOn());

    // Refused as a whole, its good half too.
    configure("[file " + goes + "]\n[file stays]\n");
    server.signal(SIGHUP);
    ASSERT_NE(server.waitForLine("line 6: file 'stays': expected an absolute path"), "")
        << server.output();
    EXPECT_EQ(published(), second);
    EXPECT_TRUE(goesOn());

    // Withdrawn because it changed (case 6), and taken up again.
    std::filesystem::resize_file(comes, kSize / 2);
    EXPECT_TRUE(eventually([&] { return !published().contains(comes); }));
    configure("[file " + comes + "]\n[file " + stays + "]\n");
    server.signal(SIGHUP);
    ASSERT_NE(server.waitForLine("files: 1 added, 1 taken back, 0 failed"), "") << server.output();
    auto third = published();
    EXPECT_EQ(third[stays], first[stays]);
    EXPECT_EQ(third[comes], second[comes]) << "the same file, under whatever number now";
    // The first request may still meet the namespace of before.
    EXPECT_TRUE(eventually(
        [&] { return initiator.read(segment, third[comes], 0, buffer.data(), kSize / 2); }));
    EXPECT_FALSE(initiator.read(segment, third[comes], kSize / 2, buffer.data(), 4096));
    EXPECT_TRUE(goesOn());

    load.end();
    EXPECT_EQ(load.failed(), 0u) << "of " << load.rounds();
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
    EXPECT_EQ(nvmetObjects(), before);
    Node late(metadata, "late");
    EXPECT_EQ(late.engine().openSegment("server"), static_cast<SegmentID>(-1));
}

// A file that is not there at a restart shifts no other, and is there again when it is back. A
// program that goes on writing meanwhile never writes into another file.
TEST(FileServer, AFileMissingAtARestartShiftsNoNumber) {
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    std::vector<std::string> paths;
    for (const char* name : {"a", "b", "c", "d"}) {
        paths.push_back(folder + "/shifts_" + name);
        makeFile(paths.back(), kSize);
    }
    {
        std::ofstream file(config);
        file << "segment = server\nmetadata = " << metadata.url()
             << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n";
        for (const std::string& path : paths) file << "[file " << path << "]\n";
        file << "id = 65535\n";
    }
    const auto serve = [&](const std::string& line) {
        auto server = std::make_unique<ChildProcess>(
            std::vector<std::string>{"transfer_engine_file_server", "--config=" + config});
        EXPECT_NE(server->waitForLine(line), "") << server->output();
        return server;
    };
    const auto stop = [](std::unique_ptr<ChildProcess> server) {
        server->signal(SIGTERM);
        EXPECT_EQ(server->wait(), 0) << server->output();
    };
    // As the node publishes them: asked by somebody who knows nothing of before.
    const auto published = [&] {
        TransferMetadata reader(metadata.url());
        std::map<std::string, FileBufferID> ids;
        const auto record = reader.getSegmentDesc("server");
        if (!record) return ids;
        for (const auto& file : record->file_buffers) ids[file.path] = file.id;
        return ids;
    };
    auto server = serve("serving 4 of 4 files");
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    const auto ids = published();
    ASSERT_EQ(ids.size(), 4u);
    EXPECT_EQ(ids.at(paths[3]), 65535u);
    AlignedBuffer buffer(kSize);
    for (size_t i = 0; i < paths.size(); ++i) {
        fillPattern(100 + i, 0, buffer.data(), kSize);
        ASSERT_TRUE(initiator.write(segment, ids.at(paths[i]), 0, buffer.data(), kSize));
    }

    Load writesB(initiator, segment, ids.at(paths[1]));
    ASSERT_TRUE(eventually([&] { return writesB.rounds() > 2; }));
    stop(std::move(server));
    std::filesystem::rename(paths[0], paths[0] + ".unmounted");
    server = serve("serving 3 of 4 files");
    auto expected = ids;
    expected.erase(paths[0]);
    EXPECT_EQ(published(), expected);
    // It goes on, and only its own file is written.
    const auto goesOn = [&] {
        const uint64_t good = writesB.rounds() - writesB.failed();
        return eventually([&] { return writesB.rounds() - writesB.failed() > good + 2; });
    };
    EXPECT_TRUE(goesOn());
    EXPECT_FALSE(initiator.write(segment, ids.at(paths[0]), 0, buffer.data(), 4096));

    stop(std::move(server));
    std::filesystem::rename(paths[0] + ".unmounted", paths[0]);
    server = serve("serving 4 of 4 files");
    EXPECT_EQ(published(), ids);
    EXPECT_TRUE(goesOn());
    EXPECT_TRUE(eventually(
        [&] { return initiator.read(segment, ids.at(paths[0]), 0, buffer.data(), kSize); }));
    EXPECT_EQ(comparePattern(100, 0, buffer.data(), kSize), "");
    writesB.end();
    initiator.end();
    stop(std::move(server));
    for (const size_t i : {0, 2, 3}) {
        EXPECT_EQ(comparePattern(100 + i, 0, readDirect(paths[i], 0, kSize).data(), kSize), "")
            << paths[i];
    }
    for (const std::string& path : paths) std::filesystem::remove(path);
}

TEST(FileServer, OneBadFileAndStrictness) {
    const auto before = nvmetObjects();
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    makeFile(folder + "/good", kSize);
    const auto configure = [&](const std::string& strict) {
        std::ofstream(config) << "segment = server\nmetadata = " << metadata.url()
                              << "\ntraddr = 127.0.0.1\nallow_any_host = yes\nstrict = " << strict
                              << "\n[file /dev/null]\n[file " << folder << "/good]\n";
    };
    configure("yes");
    ChildProcess strict({"transfer_engine_file_server", "--config=" + config});
    EXPECT_EQ(strict.wait(), 1);
    EXPECT_NE(strict.output().find("strict = yes"), std::string::npos) << strict.output();
    EXPECT_EQ(nvmetObjects(), before);
    configure("no");
    ChildProcess lenient({"transfer_engine_file_server", "--config=" + config});
    EXPECT_NE(lenient.waitForLine("serving 1 of 2 files"), "") << lenient.output();
    lenient.signal(SIGINT);
    EXPECT_EQ(lenient.wait(), 0) << lenient.output();
    EXPECT_EQ(nvmetObjects(), before);
}

// The second is a mistake, unless its operator says that it is to replace the first. Then the new
// one starts before the old one stops, and no initiator finds the name empty.
TEST(FileServer, TwoOfOneName) {
    const auto before = nvmetObjects();
    MetadataServer metadata;
    const std::string folder = testFolder(), old = folder + "/old", next = folder + "/next";
    const auto options = [&](const std::string& file) {
        makeFile(file, kSize);
        std::ofstream(file + ".conf")
            << "segment = server\nmetadata = " << metadata.url()
            << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n[file " << file << "]\n";
        return "--config=" + file + ".conf";
    };
    ChildProcess first({"transfer_engine_file_server", options(old)});
    ASSERT_NE(first.waitForLine("serving 1 of 1 files"), "") << first.output();
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    AlignedBuffer buffer(kSize);
    const auto serves = [&](const std::string& file) {
        const auto record = initiator.engine().getMetadata()->getSegmentDescByID(segment, true);
        return record && record->file_buffers.size() == 1 && record->file_buffers[0].path == file;
    };
    EXPECT_TRUE(serves(old));
    ChildProcess mistake({"transfer_engine_file_server", options(next)});
    EXPECT_EQ(mistake.wait(), 1) << mistake.output();
    EXPECT_NE(mistake.output().find("with --takeover"), std::string::npos) << mistake.output();
    EXPECT_TRUE(serves(old));
    {
        ChildProcess second({"transfer_engine_file_server", options(next), "--takeover"});
        ASSERT_NE(second.waitForLine("serving 1 of 1 files"), "") << second.output();
        EXPECT_TRUE(serves(next));
        EXPECT_NE(first.waitForLine("Another process has published"), "") << first.output();
        first.signal(SIGTERM);
        EXPECT_EQ(first.wait(), 0) << first.output();
        EXPECT_TRUE(serves(next)) << "the old one took the new one's record away";
        const auto record = initiator.engine().getMetadata()->getSegmentDescByID(segment, true);
        ASSERT_TRUE(record);
        EXPECT_TRUE(eventually([&] {
            return initiator.read(segment, record->file_buffers[0].id, 0, buffer.data(), kSize);
        }));
        second.signal(SIGKILL);
        second.wait();
    }
    // Case 46: what a crash left keeps nobody.
    ChildProcess successor({"transfer_engine_file_server", options(next)});
    ASSERT_NE(successor.waitForLine("serving 1 of 1 files", std::chrono::seconds(180)), "")
        << successor.output();
    EXPECT_NE(successor.output().find("has ended; it is replaced"), std::string::npos);
    successor.signal(SIGTERM);
    EXPECT_EQ(successor.wait(), 0) << successor.output();
    Node late(metadata, "late");
    EXPECT_EQ(late.engine().openSegment("server"), static_cast<SegmentID>(-1));
    EXPECT_EQ(nvmetObjects(), before);
}

// However many files: the record, which holds all of them, is written a few times.
TEST(FileServer, ManyFilesAreAFewPublications) {
    const auto before = nvmetObjects();
    constexpr int kFiles = 40;
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    std::string files;
    for (int i = 0; i < kFiles; ++i) {
        const std::string file = folder + "/many" + std::to_string(i);
        makeFile(file, 4096);
        files += "[file " + file + "]\n";
    }
    const auto configure = [&](const std::string& sections) {
        std::ofstream(config) << "segment = server\nmetadata = " << metadata.url()
                              << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n"
                              << sections;
    };
    // The metadata server numbers what it takes; the number is the end of an entry's tag.
    const auto taken = [&] {
        HttpClient client{StoreLimits()};
        HttpResponse response;
        EXPECT_TRUE(client
                        .request(HttpMethod::kGet, metadata.url() + "?key=mooncake%2Fram%2Fserver",
                                 "", std::chrono::seconds(10), &response)
                        .ok());
        const size_t dash = response.etag.rfind('-');
        return dash == std::string::npos ? -1 : std::atoi(response.etag.c_str() + dash + 1);
    };
    configure(files);
    ChildProcess server({"transfer_engine_file_server", "--config=" + config});
    ASSERT_NE(server.waitForLine("serving 40 of 40 files"), "") << server.output();
    const int after_start = taken();
    EXPECT_EQ(after_start, 2) << "an address, and the segment with its files";
    const auto descriptors =
        std::filesystem::directory_iterator("/proc/" + std::to_string(server.pid()) + "/fd");
    EXPECT_LT(std::distance(begin(descriptors), end(descriptors)), kFiles)
        << "the usual limit of 1024 is for 1024 files, too";
    configure("");
    server.signal(SIGHUP);
    ASSERT_NE(server.waitForLine("40 taken back, 0 failed"), "") << server.output();
    EXPECT_LE(taken() - after_start, 2);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
    EXPECT_EQ(nvmetObjects(), before);
}

/// The program in its other uses.
int runServer(const std::vector<std::string>& options, std::string& output) {
    std::vector<std::string> command{"transfer_engine_file_server"};
    command.insert(command.end(), options.begin(), options.end());
    ChildProcess program(command);
    const int status = program.wait();
    output = program.output();
    return status;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// What systemctl reload does: it ends when the work is done, and says what failed.
TEST(FileServer, AReloadThatIsWaitedFor) {
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    const std::string control = "--control=" + folder + "/control";
    const std::string one = folder + "/one", two = folder + "/two";
    for (const std::string& file : {one, two}) makeFile(file, kSize);
    const auto configure = [&](const std::string& files) {
        std::ofstream(config) << "segment = server\nmetadata = " << metadata.url()
                              << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n"
                              << files;
    };
    configure("[file " + one + "]\n");
    ChildProcess server({"transfer_engine_file_server", "--config=" + config, control});
    ASSERT_NE(server.waitForLine("serving 1 of 1 files"), "") << server.output();
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("server");
    const auto published = [&] {
        return initiator.engine().getMetadata()->getSegmentDescByID(segment, true)->file_buffers;
    };
    ASSERT_EQ(published().size(), 1u);

    std::string output;
    configure("[file " + one + "]\n[file " + two + "]\n");
    EXPECT_EQ(runServer({"--reload", control}, output), 0) << output;
    EXPECT_TRUE(holds(output, "serving 2 of 2 files")) << output;
    EXPECT_EQ(published().size(), 2u) << "it is done when the command ends";

    configure("[file " + one + "]\n[file " + two + "]\n[file /no/such/file]\n");
    EXPECT_EQ(runServer({"--reload", control}, output), 1);
    EXPECT_TRUE(holds(output, "'/no/such/file': No such file")) << output;
    EXPECT_TRUE(holds(output, "serving 2 of 3 files")) << output;

    configure("[file two]\n");
    EXPECT_EQ(runServer({"--reload", control}, output), 2);
    EXPECT_TRUE(holds(output, "line 5: file 'two'")) << output;
    configure("trsvcid = 4444\n");
    EXPECT_EQ(runServer({"--reload", control}, output), 2);
    EXPECT_TRUE(holds(output, "trsvcid differs")) << output;
    EXPECT_EQ(published().size(), 2u);

    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
    EXPECT_EQ(runServer({"--reload", control}, output), 1);
    EXPECT_TRUE(holds(output, "no server runs")) << output;
}

// A check beside a server that runs: its port is no obstacle, nor are the devices that it holds; a
// device that another holds is.
TEST(FileServer, ACheckSeesWhatAStartWouldMeet) {
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    std::istringstream disks(getenv("NVMEOF_TEST_DISKS"));
    std::string disk;
    ASSERT_TRUE(disks >> disk);
    const auto configure = [&](const std::string& segment) {
        std::ofstream(config) << "segment = " << segment << "\nmetadata = " << metadata.url()
                              << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n[file " << disk
                              << "]\n";
    };
    const auto before = nvmetObjects();
    std::string output;
    configure("server");
    EXPECT_EQ(runServer({"--check", "--config=" + config}, output), 0);
    EXPECT_TRUE(holds(output, "1 of 1 files can be served")) << output;
    EXPECT_EQ(nvmetObjects(), before);

    ChildProcess server({"transfer_engine_file_server", "--config=" + config});
    ASSERT_NE(server.waitForLine("serving 1 of 1 files"), "") << server.output();
    const auto running = nvmetObjects();
    EXPECT_EQ(runServer({"--check", "--config=" + config}, output), 0);
    EXPECT_TRUE(holds(output, "it is being served")) << output;
    configure("another");
    EXPECT_EQ(runServer({"--check", "--json", "--config=" + config}, output), 0);
    EXPECT_TRUE(holds(output, "\"file.busy\"")) << output;
    EXPECT_EQ(nvmetObjects(), running);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
    EXPECT_EQ(nvmetObjects(), before);
}

// A node that only serves counts what it serves.
TEST(FileServer, CountsWhatItServes) {
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    const std::string one = folder + "/one", two = folder + "/two", stats = folder + "/stats";
    for (const std::string& file : {one, two}) makeFile(file, kSize);
    std::ofstream(config) << "segment = server\nmetadata = " << metadata.url()
                          << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n[file " << one
                          << "]\nid = 1\n[file " << two << "]\nsize = 512K\n";
    ChildProcess server({"sh", "-c",
                         "umask 0077; exec env MC_NVMEOF_GENERIC_STATS_FILE=" + stats +
                             " MC_NVMEOF_GENERIC_STATS_INTERVAL=1"
                             " MC_NVMEOF_GENERIC_STATS_LABEL=shelf"
                             " transfer_engine_file_server --config=" +
                             config});
    ASSERT_NE(server.waitForLine("serving 2 of 2 files"), "") << server.output();
    const auto value = [&](const std::string& name) {
        std::ifstream file(stats);
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("nvmeof_generic_target_" + name + "{process=\"shelf\"")) {
                return std::stod(line.substr(line.rfind(' ')));
            }
        }
        return -1.0;
    };
    EXPECT_TRUE(eventually([&] { return value("files") == 2; }));
    EXPECT_EQ(value("bytes"), kSize + kSize / 2);
    EXPECT_EQ(value("record_published"), 1);
    EXPECT_EQ(value("tcp_connections"), 0);
    struct stat info;
    ASSERT_EQ(stat(stats.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0644u);
    {
        Node initiator(metadata, "initiator");
        const SegmentID segment = initiator.engine().openSegment("server");
        AlignedBuffer buffer(4096);
        EXPECT_TRUE(initiator.read(segment, 1, 0, buffer.data(), 4096));
        EXPECT_TRUE(eventually([&] { return value("tcp_connections") >= 2; }));
    }
    EXPECT_TRUE(eventually([&] { return value("tcp_connections") == 0; }));
    std::filesystem::resize_file(one, kSize / 2);
    EXPECT_TRUE(eventually([&] { return value("withdrawn_files_total") == 1; }));
    EXPECT_EQ(value("files"), 1);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.output();
}

// With a stats file that cannot be written, or a malformed one, the node does not start.
TEST(FileServer, ACountersFileThatCannotBeWritten) {
    const auto before = nvmetObjects();
    MetadataServer metadata;
    const std::string folder = testFolder(), config = folder + "/file_server.conf";
    std::ofstream(config) << "segment = server\nmetadata = " << metadata.url()
                          << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n";
    ChildProcess server({"env", "MC_NVMEOF_GENERIC_STATS_FILE=" + folder + "/none/stats",
                         "transfer_engine_file_server", "--config=" + config});
    EXPECT_EQ(server.wait(), 1);
    EXPECT_TRUE(holds(server.output(), "MC_NVMEOF_GENERIC_STATS_FILE")) << server.output();
    EXPECT_EQ(nvmetObjects(), before);
}

}  // namespace
