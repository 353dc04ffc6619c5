// SPDX-License-Identifier: Apache-2.0
#include "http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "common.h"
#include "header_list.h"
#include "peer_address.h"
#include "resolver.h"

namespace mooncake {

namespace {

struct CurlDeleter {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
    void operator()(char* text) const { curl_free(text); }
};

// curl_easy_init would do this on first use, but not in a thread-safe way.
void initCurlOnce() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

struct Receiver {
    std::string* body;
    size_t limit;
    bool overflow = false;
};

size_t receive(char* data, size_t size, size_t count, void* context) {
    auto* receiver = static_cast<Receiver*>(context);
    const size_t bytes = size * count;
    if (bytes > receiver->limit - receiver->body->size()) {
        receiver->overflow = true;
        return 0;  // makes curl give up
    }
    receiver->body->append(data, bytes);
    return bytes;
}

// Whether another attempt may end otherwise.
bool isPassing(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_CONNECT:
        case CURLE_OPERATION_TIMEDOUT:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_SSL_CONNECT_ERROR:
            return true;
        default:
            return false;
    }
}

std::string partOf(CURLU* url, CURLUPart part, unsigned flags = 0) {
    char* text = nullptr;
    const bool has = curl_url_get(url, part, &text, flags) == CURLUE_OK;
    std::unique_ptr<char, CurlDeleter> owned(text);
    return has ? text : "";
}

bool hasPart(CURLU* url, CURLUPart part) {
    char* text = nullptr;
    const bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    std::unique_ptr<char, CurlDeleter> owned(text);
    return has;
}

// Tells curl where the host of the URL is, as one of its options has it; it would wait for the name
// service without a limit. Empty for an address in figures.
Status findHost(const std::string& url, std::chrono::steady_clock::time_point end,
                std::string* place) {
    std::unique_ptr<CURLU, CurlDeleter> parsed(curl_url());
    if (!parsed) return Status::Memory("no memory to parse the metadata URL");
    curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0);
    const std::string host = partOf(parsed.get(), CURLUPART_HOST);
    sockaddr_storage figures = {};
    place->clear();
    if (host.starts_with('[') || parseAddress(host, &figures)) return Status::OK();
    Resolver::Addresses addresses;
    Status status = Resolver::ofProcess().resolve(host, end, &addresses);
    if (!status.ok()) return Status::Socket("cannot resolve " + std::string(status.message()));
    *place = host + ":" + partOf(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT) + ":";
    for (const sockaddr_storage& address : addresses) {
        if (!place->ends_with(':')) *place += ',';
        *place += maybeWrapIpV6(peerText(address));
    }
    return status;
}

}  // namespace

const char* httpMethodName(HttpMethod method) {
    switch (method) {
        case HttpMethod::kGet:
            return "GET";
        case HttpMethod::kPut:
            return "PUT";
        case HttpMethod::kPost:
            return "POST";
        case HttpMethod::kDelete:
            return "DELETE";
    }
    return "?";
}

Status checkHttpUrl(const std::string& url) {
    const auto bad = [](std::string_view why) {
        return Status::InvalidArgument("the metadata URL " + std::string(why) +
                                       "; it must read http://host:port/metadata");
    };
    initCurlOnce();
    // Before anything is repeated in a message or a log.
    for (const char c : url) {
        if (c <= ' ' || c > '~') return bad("holds a space or an unprintable character");
    }
    std::unique_ptr<CURLU, CurlDeleter> parsed(curl_url());
    if (!parsed) return Status::Memory("no memory to parse the metadata URL");
    const CURLUcode code =
        curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME);
    if (code != CURLUE_OK)
        return bad("is malformed (" + std::string(curl_url_strerror(code)) + ")");
    if (hasPart(parsed.get(), CURLUPART_USER) || hasPart(parsed.get(), CURLUPART_PASSWORD)) {
        return bad("holds a user name or password, which are not supported");
    }
    const std::string quoted = "'" + url + "' ";
    if (!url.starts_with("http://") && !url.starts_with("https://")) {
        return bad(quoted + "has another scheme than http and https");
    }
    // curl would take the path for the host.
    if (url.find(":///") != std::string::npos) return bad(quoted + "has no host");
    if (hasPart(parsed.get(), CURLUPART_QUERY) || url.find('?') != std::string::npos) {
        return bad(quoted + "has a query");
    }
    if (hasPart(parsed.get(), CURLUPART_FRAGMENT) || url.find('#') != std::string::npos) {
        return bad(quoted + "has a fragment");
    }
    return Status::OK();
}

void HttpClient::HandleDeleter::operator()(void* handle) const {
    curl_easy_cleanup(handle);
}

HttpClient::HttpClient(const StoreLimits& limits, HttpTls tls, std::shared_ptr<BearerToken> token)
    : limits_(limits), tls_(std::move(tls)), token_(std::move(token)) {
    initCurlOnce();
}

HttpClient::~HttpClient() = default;

Status HttpClient::request(HttpMethod method, const std::string& url, std::string_view body,
                           std::chrono::milliseconds time, HttpResponse* response,
                           std::string_view authorization, const std::string& condition) {
    const auto end = std::chrono::steady_clock::now() + time;
    const bool with_token = token_ && authorization.empty();
    for (;;) {
        const SecretText token = with_token ? token_->value() : SecretText();
        SecretText own;
        if (with_token) own.append("Bearer ").append(token.view());
        Status status = perform(method, url, body, end, with_token ? own.view() : authorization,
                                condition, response);
        if (!status.ok() || response->status != 401 || !with_token) return status;
        if (!token_->readAgain(token)) return status;
    }
}

Status HttpClient::perform(HttpMethod method, const std::string& url, std::string_view body,
                           std::chrono::steady_clock::time_point end,
                           std::string_view authorization, const std::string& condition,
                           HttpResponse* response) {
    using std::chrono::milliseconds;
    const std::string what = std::string(httpMethodName(method)) + " " + url;
    auto handle = idle_.take();
    if (!handle) handle.reset(curl_easy_init());
    HeaderList headers, hosts;
    // No Expect: it would cost a round trip, or a second's wait where the server does not know it.
    bool complete = headers.add("Expect:");
    if (method == HttpMethod::kPut || method == HttpMethod::kPost) {
        complete = complete && headers.add("Content-Type: application/json");
    }
    if (!authorization.empty()) {
        SecretText line("Authorization: ");
        complete = complete && headers.add(line.append(authorization).c_str());
    }
    if (!condition.empty()) complete = complete && headers.add(condition.c_str());
    std::string place;
    const auto begin = std::chrono::steady_clock::now();
    const Status found = findHost(url, std::min(end, begin + limits_.connect), &place);
    if (!found.ok()) {
        idle_.put(std::move(handle));
        return Status::Socket(what + ": " + std::string(found.message()));
    }
    if (!place.empty()) complete = complete && hosts.add(place.c_str());
    if (!handle || !complete) return Status::Memory(what + ": no memory for the request");
    // Zero would mean "no limit".
    const auto time = std::max(
        milliseconds(1), std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now()));

    HttpResponse answer;
    Receiver receiver{&answer.body, limits_.answer_bytes};
    char error[CURL_ERROR_SIZE] = {};
    CURL* const curl = handle.get();
    curl_easy_reset(curl);  // the connection stays
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(std::min(limits_.connect, time).count()));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(time.count()));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mooncake-transfer-engine");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiver);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    if (!place.empty()) curl_easy_setopt(curl, CURLOPT_RESOLVE, hosts.get());
    if (!tls_.ca.empty()) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, tls_.ca.c_str());
        curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);  // else the system's are trusted, too
    }
    if (!tls_.cert.empty()) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, tls_.cert.c_str());
        curl_easy_setopt(curl, CURLOPT_SSLKEY, tls_.key.c_str());
    }
    if (method == HttpMethod::kPut || method == HttpMethod::kPost) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    }
    if (method != HttpMethod::kGet && method != HttpMethod::kPost) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, httpMethodName(method));
    }

    const CURLcode code = curl_easy_perform(curl);
    if (receiver.overflow) {
        return Status::Metadata(what + ": the answer is larger than " +
                                std::to_string(limits_.answer_bytes) + " bytes");
    }
    if (code != CURLE_OK) {
        // A server that was restarted has dropped the other connections too.
        idle_.clear();
        std::string cause = curl_easy_strerror(code);
        if (error[0] != '\0') cause += std::string(" (") + error + ")";
        cause = what + ": " + cause;
        return isPassing(code) ? Status::Socket(cause) : Status::Metadata(cause);
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_header* etag = nullptr;
    if (curl_easy_header(curl, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK) {
        answer.etag = etag->value;
    }
    idle_.put(std::move(handle));
    *response = std::move(answer);
    return Status::OK();
}

std::string percentEncode(const std::string& text) {
    constexpr char kHex[] = "0123456789ABCDEF";
    constexpr std::string_view kPlain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string encoded;
    encoded.reserve(text.size() + 16);
    for (const char c : text) {
        if (kPlain.find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
        }
    }
    return encoded;
}

}  // namespace mooncake
