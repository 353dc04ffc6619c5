// SPDX-License-Identifier: Apache-2.0
// One node of scripts/store_soak.sh: puts and gets at random, and compares every byte.
//
//   store_soak_node run <directory> <name> <file> <seed> <acknowledged> <transport address>
//   store_soak_node check <directory> <acknowledged>...
//
// "run" mounts the file and goes on until SIGTERM. Keys of hard pinned objects of two copies, which
// must never be lost, are appended to <acknowledged> as soon as their put has succeeded. "check"
// joins without a file, and gets all of them. The exit status is 1 where a byte was wrong or such
// an object is gone, 2 for a call that cannot be.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mooncake_store/client.h"

using namespace mooncake;

namespace {

constexpr int kThreads = 2;
constexpr int kKeys = 400;
constexpr int kPinned = 20;

std::atomic<bool> stop{false};
std::atomic<bool> wrong{false};

// The size and the bytes of an object follow from its key.
std::vector<char> contentOf(const std::string& key) {
    std::mt19937_64 random(std::hash<std::string>()(key));
    std::vector<char> bytes(1 + random() % (size_t{1} << (8 + random() % 12)));
    for (size_t at = 0; at < bytes.size(); at += 8) {
        const uint64_t word = random();
        std::memcpy(bytes.data() + at, &word, std::min<size_t>(8, bytes.size() - at));
    }
    return bytes;
}

std::shared_ptr<Client> join(const std::string& directory, const std::string& name,
                             const std::string& address) {
    ClientOptions options;
    options.local_hostname = "127.0.0.1:0";
    options.protocol_args = address;
    options.directory = directory;
    options.node = name;
    options.lease = std::chrono::seconds(2);
    options.io_bound = std::chrono::seconds(1);
    options.timeout = std::chrono::seconds(20);
    auto client = Client::Create(options);
    if (client) return *client;
    std::printf("%s does not join: %s\n", name.c_str(), Client::LastError().c_str());
    std::exit(2);
}

ErrorCode put(Client& client, const std::string& key, const ReplicateConfig& config) {
    std::vector<char> bytes = contentOf(key);
    std::vector<Slice> slices{{bytes.data(), bytes.size()}};
    const auto done = client.Put(key, slices, config);
    return done ? ErrorCode::OK : done.error();
}

ErrorCode get(Client& client, const std::string& key) {
    const std::vector<char> expected = contentOf(key);
    std::vector<char> bytes(expected.size());
    std::vector<Slice> slices{{bytes.data(), bytes.size()}};
    const auto done = client.Get(key, slices);
    if (!done) return done.error();
    if (bytes != expected) {
        std::printf("WRONG BYTES: %s\n", key.c_str());
        wrong = true;
    }
    return ErrorCode::OK;
}

void work(Client& client, uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!stop && !wrong) {
        const std::string key = "key" + std::to_string(random() % kKeys);
        ReplicateConfig config;
        config.replica_num = 1 + random() % 2;
        config.with_soft_pin = random() % 20 == 0;
        switch (random() % 10) {
            case 0:
            case 1:
            case 2:
                put(client, key, config);
                break;
            case 3:
                if (random() % 10 == 0) (void)client.Remove(key);
                (void)client.IsExist(key);
                break;
            default:
                get(client, key);
        }
    }
}

int run(char** arguments) {
    const std::string name = arguments[1];
    const uint64_t seed = std::strtoull(arguments[3], nullptr, 10);
    const auto client = join(arguments[0], name, arguments[5]);
    if (!client->MountFileSegment(arguments[2])) {
        std::printf("%s does not mount: %s\n", name.c_str(), Client::LastError().c_str());
        return 2;
    }
    std::printf("%s is ready\n", name.c_str());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] { work(*client, seed * 10 + static_cast<uint64_t>(t)); });
    }
    std::ofstream acknowledged(arguments[4], std::ios::app);
    ReplicateConfig pinned;
    pinned.replica_num = 2;
    pinned.with_hard_pin = true;
    for (int i = 0; i < kPinned && !stop;) {
        const std::string key =
            "pinned/" + name + "/" + std::to_string(seed) + "/" + std::to_string(i);
        if (put(*client, key, pinned) == ErrorCode::OK) {
            // One copy alone may be lost with its disk.
            const auto query = client->Query(key);
            if (query && query->replicas.size() == 2) acknowledged << key << std::endl;
            ++i;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    for (auto& thread : threads) thread.join();
    std::printf("%s: %s\n", name.c_str(), client->GetSummaryMetrics().value_or("").c_str());
    return wrong ? 1 : 0;
}

int check(int count, char** arguments) {
    const auto client = join(arguments[0], "check", "");
    int all = 0, lost = 0;
    for (int i = 1; i < count; ++i) {
        std::ifstream acknowledged(arguments[i]);
        for (std::string key; std::getline(acknowledged, key); ++all) {
            const ErrorCode code = get(*client, key);
            if (code == ErrorCode::OK) continue;
            std::printf("LOST: %s: %s\n", key.c_str(), toString(code).c_str());
            ++lost;
        }
    }
    std::printf("checked %d pinned objects, lost %d\n", all, lost);
    return wrong || lost != 0 ? 1 : 0;
}

}  // namespace

int main(int count, char** arguments) {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, [](int) { stop = true; });
    const std::string what = count > 1 ? arguments[1] : "";
    if (what == "run" && count == 8) return run(arguments + 2);
    if (what == "check" && count >= 4) return check(count - 2, arguments + 2);
    std::printf("usage: store_soak_node run|check ...; see scripts/store_soak.sh\n");
    return 2;
}
