// SPDX-License-Identifier: Apache-2.0
#include "setup_request.h"

#include <glog/logging.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>

namespace mooncake::python {
namespace {

std::vector<std::string> wordsOf(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

std::string lowered(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

}  // namespace

void SetupRequest::takeFilesOfEnvironment() {
    if (global_segment_size == 0) return;  // a node that gives nothing
    const char* const named = std::getenv("MC_STORE_FILES");
    if (named == nullptr) return;
    files = wordsOf(named);
    shares_files = true;
}

tl::expected<uint64_t, std::string> parseSize(const std::string& text) {
    const auto refuse = [&] {
        return tl::unexpected("'" + text +
                              "' is no size; it takes bytes, or a number with KB, "
                              "MB, GB or TB");
    };
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || !std::isfinite(number) || number < 0) return refuse();
    std::string unit = lowered({std::find_if(rest, end, [](char c) { return c != ' '; }), end});
    for (const char* const tail : {"ib", "b"}) {
        if (unit.ends_with(tail)) {
            unit.resize(unit.size() - std::string(tail).size());
            break;
        }
    }
    static const std::string kUnits = "kmgt";
    int power = 0;
    if (!unit.empty()) {
        const size_t at = unit.size() == 1 ? kUnits.find(unit) : std::string::npos;
        if (at == std::string::npos) return refuse();
        power = 10 * (static_cast<int>(at) + 1);
    }
    const double bytes = std::ldexp(number, power);
    if (bytes >= std::ldexp(1.0, 63)) return refuse();
    return static_cast<uint64_t>(bytes);
}

tl::expected<SetupRequest, std::string> requestOf(
    const std::map<std::string, std::string>& values) {
    SetupRequest request;
    request.global_segment_size = SetupRequest::kDefaultSize;
    request.protocol = "tcp";
    const std::map<std::string, std::string*> texts = {
        {"local_hostname", &request.local_hostname},
        {"metadata_server", &request.metadata_server},
        {"protocol", &request.protocol},
        {"rdma_devices", &request.protocol_arg},
        {"protocol_arg", &request.protocol_arg},
        {"master_server_addr", &request.master_server_addr},
        {"ssd_offload_path", &request.scratch_folder},
    };
    const std::map<std::string, uint64_t*> sizes = {
        {"global_segment_size", &request.global_segment_size},
        {"local_buffer_size", &request.local_buffer_size},
    };
    for (const auto& [name, value] : values) {
        if (const auto text = texts.find(name); text != texts.end()) {
            *text->second = value;
        } else if (const auto size = sizes.find(name); size != sizes.end()) {
            const auto bytes = parseSize(value);
            if (!bytes) return tl::unexpected(name + ": " + bytes.error());
            *size->second = *bytes;
        } else if (name == "files") {
            request.files = wordsOf(value);
        } else if (name == "tenant_id") {
            if (value != "default") {
                return tl::unexpected("tenant_id: there are no tenants; give '" + value +
                                      "' a directory of its own in master_server_addr");
            }
        } else {
            LOG(WARNING) << "setup: '" << name << "' has no meaning for this store";
        }
    }
    for (const auto* const name : {"local_hostname", "metadata_server"}) {
        if (!values.contains(name)) return tl::unexpected(std::string(name) + " is missing");
    }
    if (request.files.empty()) request.takeFilesOfEnvironment();
    return request;
}

}  // namespace mooncake::python
