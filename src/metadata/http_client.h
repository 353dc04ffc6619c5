// SPDX-License-Identifier: Apache-2.0
// One HTTP request at a time, with limits on everything the other side could draw out.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "common/base/status.h"

namespace mooncake {

// The limits of every request to a metadata server, in one place.
struct HttpLimits {
    std::chrono::milliseconds connect{3000};
    std::chrono::milliseconds total{10000};  // connecting included
    size_t response_bytes = size_t{8} << 20;
};

struct HttpResponse {
    long status = 0;
    std::string body;
};

enum class HttpMethod { kGet, kPut, kDelete };

const char* httpMethodName(HttpMethod method);

// InvalidArgument, with the cause, for what is not a URL that httpRequest takes: http or https, a
// host, no user name or password, no query, no fragment.
Status checkHttpUrl(const std::string& url);

// Sends one request and waits for the answer, whatever its HTTP status. `body` is sent with kPut as
// application/json. Redirects are not followed, proxies not used (a metadata server belongs to the
// nodes' own network), and the connection is closed afterwards, so that an idle node holds no
// thread of the server. Socket, with method, URL and cause, where there is no answer or it passes a
// limit. Thread-safe; raises no signal.
Status httpRequest(HttpMethod method, const std::string& url, const std::string& body,
                   const HttpLimits& limits, HttpResponse* response);

// `text` as part of a query: everything but letters, digits and -._~ percent-encoded.
std::string percentEncode(const std::string& text);

}  // namespace mooncake
