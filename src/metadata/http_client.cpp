// SPDX-License-Identifier: Apache-2.0
#include "http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

namespace mooncake {

namespace {

struct CurlDeleter {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
    void operator()(char* text) const { curl_free(text); }
};

class HeaderList {
 public:
    HeaderList() = default;
    ~HeaderList() { curl_slist_free_all(list_); }
    HeaderList(const HeaderList&) = delete;
    HeaderList& operator=(const HeaderList&) = delete;

    // False for want of memory.
    bool add(const std::string& line) {
        curl_slist* const longer = curl_slist_append(list_, line.c_str());
        if (longer != nullptr) list_ = longer;
        return longer != nullptr;
    }
    curl_slist* get() const { return list_; }

 private:
    curl_slist* list_ = nullptr;
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

bool hasPart(CURLU* url, CURLUPart part) {
    char* text = nullptr;
    const bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    std::unique_ptr<char, CurlDeleter> owned(text);
    return has;
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

HttpClient::HttpClient(const StoreLimits& limits, HttpTls tls)
    : limits_(limits), tls_(std::move(tls)) {
    initCurlOnce();
}

HttpClient::~HttpClient() = default;

Status HttpClient::request(HttpMethod method, const std::string& url, const std::string& body,
                           std::chrono::milliseconds time, HttpResponse* response,
                           const std::string& authorization, const std::string& condition) {
    const std::string what = std::string(httpMethodName(method)) + " " + url;
    auto handle = idle_.take();
    if (!handle) handle.reset(curl_easy_init());
    HeaderList headers;
    // No Expect: it would cost a round trip, or a second's wait where the server does not know it.
    bool complete = headers.add("Expect:");
    if (method == HttpMethod::kPut || method == HttpMethod::kPost) {
        complete = complete && headers.add("Content-Type: application/json");
    }
    if (!authorization.empty()) {
        complete = complete && headers.add("Authorization: " + authorization);
    }
    if (!condition.empty()) complete = complete && headers.add(condition);
    if (!handle || !complete) return Status::Memory(what + ": no memory for the request");

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
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(std::min(limits_.connect, time).count()));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(time.count()));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mooncake-transfer-engine");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiver);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
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
