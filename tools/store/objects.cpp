// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <optional>
#include <ostream>

#include "commands.h"
#include "key_text.h"
#include "store_client.h"

namespace mooncake::store::tool {
namespace {

tl::unexpected<Error> fileFailed(const std::string& path, const char* what) {
    const int code = errno != 0 ? errno : EIO;
    const std::string name = path == "-" ? "the standard input" : "'" + path + "'";
    return failed(Failure::kUnavailable, name + " cannot be " + what + ": " + std::strerror(code));
}

Result<> writeTo(const std::string& path, const std::string& bytes, Output& output) {
    if (path == "-") {
        output.out << bytes;
        return {};
    }
    errno = 0;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    if (!file) return fileFailed(path, "written");
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (file) return {};
    auto error = fileFailed(path, "written");
    // A part of an object is taken for all of it. A device or a pipe stays.
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path, ignored)) std::filesystem::remove(path, ignored);
    return error;
}

// Not by istreambuf_iterator, which throws where the system cannot read.
std::optional<std::string> allOf(std::istream& in) {
    std::string bytes, piece(1 << 16, '\0');
    errno = 0;
    do {
        in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
        bytes.append(piece, 0, static_cast<size_t>(in.gcount()));
    } while (in);
    if (in.bad()) return std::nullopt;
    return bytes;
}

Result<std::string> readFrom(const std::string& path, Output& output) {
    std::ifstream file;
    errno = 0;
    if (path != "-") file.open(path, std::ios::binary);
    const bool is_open = path == "-" || file.is_open();
    auto bytes = is_open ? allOf(path == "-" ? output.in : file) : std::nullopt;
    if (!bytes) return fileFailed(path, "read");
    return std::move(*bytes);
}

}  // namespace

Result<bool> get(const CommandLine& line, Output& output) {
    const auto key = keyOf(line.arguments[0]);
    if (!key) return tl::unexpected(key.error());
    const auto client = makeClient(line);
    if (!client) return tl::unexpected(client.error());
    const std::string what = "object '" + keyText(*key) + "' cannot be read";
    const auto found = (*client)->Query(*key);
    if (!found) return clientFailed(what, found.error());
    std::string bytes(found->size, '\0');
    std::vector<Slice> slices = {{bytes.data(), bytes.size()}};
    if (auto got = (*client)->Get(*key, *found, slices); !got) {
        return clientFailed(what, got.error());
    }
    const std::string path = line.arguments.size() > 1 ? line.arguments[1] : "-";
    if (auto written = writeTo(path, bytes, output); !written) {
        return tl::unexpected(written.error());
    }
    return true;
}

Result<bool> put(const CommandLine& line, Output& output) {
    const auto key = keyOf(line.arguments[0]);
    if (!key) return tl::unexpected(key.error());
    auto bytes = readFrom(line.arguments[1], output);
    if (!bytes) return tl::unexpected(bytes.error());
    if (bytes->empty()) {
        return failed(Failure::kInvalid,
                      "'" + line.arguments[1] + "' is empty; an object has 1 byte or more");
    }
    const auto client = makeClient(line);
    if (!client) return tl::unexpected(client.error());
    ReplicateConfig config;
    config.replica_num = line.replicas;
    config.with_soft_pin = line.soft_pin;
    config.with_hard_pin = line.hard_pin;
    std::vector<Slice> slices = {{bytes->data(), bytes->size()}};
    if (auto done = (*client)->Put(*key, slices, config); !done) {
        return clientFailed("object '" + keyText(*key) + "' cannot be stored", done.error());
    }
    if ((*client)->Statistics().existing != 0) {
        output.err << "object '" << keyText(*key) << "' was there already and stays as it is\n";
    }
    return true;
}

}  // namespace mooncake::store::tool
