// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without a fuzzer: each file of its corpus as it is, then mutations of them,
// the same ones for the same seed. For every build and every compiler; libFuzzer finds more.
//
//   <program> <corpus folder> <number of mutations> [seed]
//
// A failure ends the process; its input is in the file crash-<program> then.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kMaxInput = size_t{1} << 16;
using Random = std::mt19937_64;

size_t below(Random& random, size_t limit) {
    return limit == 0 ? 0 : random() % limit;
}

// What parsers of these formats stumble over.
std::string token(Random& random) {
    static const std::vector<std::string> tokens = {"{",
                                                    "}",
                                                    "[",
                                                    "]",
                                                    "\"",
                                                    ":",
                                                    ",",
                                                    "\\u0000",
                                                    "null",
                                                    "-1",
                                                    "18446744073709551616",
                                                    "1e999",
                                                    "\"id\":0",
                                                    "\"name\":",
                                                    "file_buffers",
                                                    "\"uuid\":\"",
                                                    "nvmeof_generic",
                                                    "traddr=",
                                                    "trsvcid=65536",
                                                    " ",
                                                    "\n",
                                                    std::string(1, '\0'),
                                                    "%s",
                                                    "../",
                                                    "[::1]",
                                                    "::ffff:1.2.3.4",
                                                    "%eth0",
                                                    ";",
                                                    "=",
                                                    "\xff\xfe",
                                                    std::string(8, '\xff'),
                                                    std::string(8, '\0'),
                                                    std::string(40, '[')};
    return tokens[below(random, tokens.size())];
}

std::string mutated(std::string input, const std::vector<std::string>& corpus, Random& random) {
    for (size_t changes = 1 + below(random, 4); changes > 0; --changes) {
        const size_t at = below(random, input.size() + 1);
        const size_t length = below(random, input.size() - at + 1);
        switch (below(random, 7)) {
            case 0:
                if (at < input.size()) input[at] = static_cast<char>(random());
                break;
            case 1:
                if (at < input.size()) {
                    input[at] = static_cast<char>(input[at] ^ (1 << below(random, 8)));
                }
                break;
            case 2:
                input.erase(at, length);
                break;
            case 3:
                input.insert(at, token(random));
                break;
            case 4:
                input.insert(at, input.substr(at, length));
                break;
            case 5: {
                const std::string& other = corpus[below(random, corpus.size())];
                input = input.substr(0, at) + other.substr(below(random, other.size() + 1));
                break;
            }
            default:
                input.resize(at);
        }
    }
    if (input.size() > kMaxInput) input.resize(kMaxInput);
    return input;
}

std::string current;     // the input under test
std::string crash_file;  // where it goes on a failure

extern "C" void keepInput(int number) {
    // No signal-safe way to do this; the process is lost anyway, and may as well try.
    if (std::FILE* file = std::fopen(crash_file.c_str(), "wb")) {
        std::fwrite(current.data(), 1, current.size(), file);
        std::fclose(file);
    }
    std::fprintf(stderr, "the input of %zu bytes is in %s\n", current.size(), crash_file.c_str());
    std::signal(number, SIG_DFL);
    std::raise(number);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s <corpus folder> <number of mutations> [seed]\n", argv[0]);
        return 2;
    }
    std::vector<std::string> corpus;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
        std::ifstream file(entry.path(), std::ios::binary);
        std::ostringstream text;
        text << file.rdbuf();
        corpus.push_back(text.str());
    }
    if (corpus.empty()) {
        std::fprintf(stderr, "%s holds no files to begin with\n", argv[1]);
        return 2;
    }
    // The order of a folder is the file system's.
    std::sort(corpus.begin(), corpus.end());
    crash_file = "crash-" + std::filesystem::path(argv[0]).filename().string();
    std::signal(SIGABRT, keepInput);
    std::signal(SIGSEGV, keepInput);

    const auto run = [](const std::string& input) {
        current = input;
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(current.data()), current.size());
    };
    for (const std::string& input : corpus) run(input);
    Random random(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
    const unsigned long count = std::strtoul(argv[2], nullptr, 10);
    std::string last = corpus[0];
    for (unsigned long i = 0; i < count; ++i) {
        // Now and then one goes on from the last mutation, further away from the corpus.
        const bool further = below(random, 4) == 0;
        last = mutated(further ? last : corpus[below(random, corpus.size())], corpus, random);
        run(last);
    }
    std::printf("%zu inputs and %lu mutations of them\n", corpus.size(), count);
    return 0;
}
