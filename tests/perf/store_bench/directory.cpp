// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>

#include "cases.h"
#include "etcd_server.h"
#include "pool.h"

namespace mooncake::store_bench {
namespace {

constexpr size_t kObjects = 100000;
constexpr size_t kAsked = 20000;
constexpr size_t kBlock = 4096;
constexpr size_t kBatch = 2000;

struct Times {
    std::vector<double> wall, own, server;
};

void ask(const Settings& settings, const std::string& directory, std::mt19937_64* random,
         Times* times) {
    std::vector<std::string> keys;
    size_t there = 0;
    for (size_t i = 0; i < kAsked; ++i) {
        const uint64_t number = (*random)() % (2 * kObjects);
        there += number < kObjects;
        keys.push_back(keyOf(number));
    }
    Pool asking(directory, "");
    const double own = ownProcessor(), server = processorOf(settings.etcd_process);
    const auto begun = Clock::now();
    const auto found = asking.client().BatchIsExist(keys);
    times->wall.push_back(seconds(Clock::now() - begun) * 1e3);
    times->own.push_back((ownProcessor() - own) * 1e3);
    times->server.push_back((processorOf(settings.etcd_process) - server) * 1e3);
    requireAll(found, "asking");
    const auto said =
        std::count_if(found.begin(), found.end(), [](const auto& one) { return *one; });
    if (static_cast<size_t>(said) != there) fail("the directory says that other keys are there");
}

}  // namespace

void measureDirectory(const Settings& settings, const std::string& kind, Report* report) {
    const bool is_etcd = kind == "etcd";
    const uint64_t pool_bytes = std::max<uint64_t>(settings.pool_bytes, kObjects * kBlock * 3 / 2);
    makeFile(settings.poolFile(), pool_bytes);
    NewDirectories directories(is_etcd ? settings.etcd : settings.folder);
    const std::string directory = directories.next();
    uint64_t bytes_before = 0;
#ifdef USE_ETCD
    std::optional<EtcdServer> server;
    if (is_etcd) {
        server.emplace(settings.etcd);
        bytes_before = server->bytesAfterCompaction();
    }
#endif
    Times times;
    {
        Pool pool(directory, settings.poolFile());
        pool.fill(0, kObjects, kBlock, kBatch);
        std::mt19937_64 random(1);
        for (unsigned turn = 0; turn < settings.turns; ++turn) {
            ask(settings, directory, &random, &times);
        }
    }
    Row wall{"which of 20,000 keys there are, " + kind, "ms", times.wall};
    wall.at_most = is_etcd ? 25 : 10;
    report->add(wall);
    report->add({"the same: processor time of the client", "ms", times.own});
    if (is_etcd && settings.etcd_process != 0) {
        report->add({"the same: processor time of the server", "ms", times.server});
    }
    // Closed, SQLite's log is in its file.
    uint64_t bytes = 0;
#ifdef USE_ETCD
    if (is_etcd) bytes = server->bytesAfterCompaction() - bytes_before;
#endif
    if (!is_etcd) bytes = std::filesystem::file_size(directory.substr(directory.find("://") + 3));
    Row of_object{"the directory's bytes of an object, " + kind,
                  "bytes",
                  {static_cast<double>(bytes) / kObjects}};
    of_object.at_most = is_etcd ? 300 : 250;
    report->add(of_object);
}

}  // namespace mooncake::store_bench
