// SPDX-License-Identifier: Apache-2.0
// The same calls in C++, for compare.py, which calls these functions: with a client and a file of
// its own in the same process.
#include <algorithm>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "store_bench/pool.h"
#include "store_bench/turn.h"

namespace mooncake::store_bench {
namespace {

// What a thread asks for, made before it begins.
struct Call {
    std::vector<std::string> keys;
    std::vector<std::vector<Slice>> slices;
};

void put(Client& client, Call& call) {
    requireAll(client.BatchPut(call.keys, call.slices, {}), "putting");
}

void get(Client& client, Call& call) {
    if (call.keys.size() != 1) {
        requireAll(client.BatchGetInto(call.keys, call.slices), "getting");
    } else if (const auto got = client.Get(call.keys[0], call.slices[0]); !got) {
        failWith("getting", got.error());
    }
}

}  // namespace
}  // namespace mooncake::store_bench

using namespace mooncake::store_bench;

extern "C" {

// Null where it cannot be made; standard error says why.
Pool* cppSideOpen(const char* directory, const char* file) {
    try {
        return new Pool(directory, file);
    } catch (const std::exception& error) {
        std::cerr << "cpp_side: " << error.what() << "\n";
        return nullptr;
    }
}

void cppSideClose(Pool* pool) {
    delete pool;
}

// Call `i` of `threads` x `calls` has the objects from first + i * batch, modulo `objects`; the
// first of each thread is not measured.
// @return seconds, or a negative number
double cppSideRun(Pool* pool, bool writes, uint64_t first, size_t objects, size_t size,
                  size_t batch, size_t threads, size_t calls) {
    try {
        std::vector<std::unique_ptr<Memory>> memory;
        std::vector<std::vector<Call>> work(threads);
        for (size_t thread = 0; thread < threads; ++thread) {
            memory.push_back(std::make_unique<Memory>(batch * size));
            for (size_t i = 0; i < calls; ++i) {
                const uint64_t from = (i * threads + thread) * batch % objects;
                work[thread].push_back(
                    {keysOf(first + from, batch), memory.back()->slices(batch, size)});
            }
        }
        const auto one = writes ? put : get;
        return runTurn(
                   threads, [&](size_t thread) { one(pool->client(), work[thread][0]); },
                   [&](size_t thread) {
                       for (size_t i = 1; i < calls; ++i) one(pool->client(), work[thread][i]);
                   })
            .seconds;
    } catch (const std::exception& error) {
        std::cerr << "cpp_side: " << error.what() << "\n";
        return -1;
    }
}
}
