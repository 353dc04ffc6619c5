// SPDX-License-Identifier: Apache-2.0
// HTTP requests over connections that are kept open, with limits on everything the other side could
// draw out.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "http_access.h"
#include "idle_pool.h"
#include "store_limits.h"

namespace mooncake {

struct HttpResponse {
    long status = 0;
    std::string body;
    std::string etag;  // the header of that name, empty where there is none
};

enum class HttpMethod { kGet, kPut, kPost, kDelete };

const char* httpMethodName(HttpMethod method);

// InvalidArgument, with the cause, for what is not a URL that HttpClient takes: http or https, a
// host, no user name or password, no query, no fragment.
Status checkHttpUrl(const std::string& url);

// Every function may be called from any thread, several at once; each request under way has a
// connection of its own.
class HttpClient {
 public:
    // Does not connect. Of the limits, `attempts` and `pause` are the caller's to keep. `token` is
    // sent with each request, and read again where the server refuses it (401); null: none.
    explicit HttpClient(const StoreLimits& limits, HttpTls tls = {},
                        std::shared_ptr<BearerToken> token = nullptr);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Sends one request and waits at most `time` for the whole answer, whatever its HTTP status.
    // `body` is sent with kPut and kPost as application/json. Redirects are not followed, proxies
    // not used (a metadata server belongs to the nodes' own network). Raises no signal. With
    // method, URL and cause: Socket where there is no answer, or not in time, and there may be one
    // the next time; Metadata where the answer is none to be had again, such as one that passes the
    // limit; Memory. `authorization` is the value of the header of that name, if not empty, instead
    // of the token, and like that in no message. `condition` is a whole header line ("If-Match:
    // ..."), if not empty.
    Status request(HttpMethod method, const std::string& url, std::string_view body,
                   std::chrono::milliseconds time, HttpResponse* response,
                   std::string_view authorization = "", const std::string& condition = "");

 private:
    Status perform(HttpMethod method, const std::string& url, std::string_view body,
                   std::chrono::steady_clock::time_point end, std::string_view authorization,
                   const std::string& condition, HttpResponse* response);

    struct HandleDeleter {
        void operator()(void* handle) const;
    };

    const StoreLimits limits_;
    const HttpTls tls_;
    const std::shared_ptr<BearerToken> token_;
    IdlePool<void, HandleDeleter> idle_;  // CURL handles, each with its connection
};

// `text` as part of a query: everything but letters, digits and -._~ percent-encoded.
std::string percentEncode(const std::string& text);

}  // namespace mooncake
