// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <cstring>

namespace mooncake {

// Lines for libcurl. They may hold secrets: nothing of them is left in memory that has been given
// back.
class HeaderList {
 public:
    HeaderList() = default;
    ~HeaderList() {
        for (curl_slist* one = list_; one != nullptr; one = one->next) {
            explicit_bzero(one->data, std::strlen(one->data));
        }
        curl_slist_free_all(list_);
    }
    HeaderList(const HeaderList&) = delete;
    HeaderList& operator=(const HeaderList&) = delete;

    // False for want of memory.
    bool add(const char* line) {
        curl_slist* const longer = curl_slist_append(list_, line);
        if (longer != nullptr) list_ = longer;
        return longer != nullptr;
    }
    curl_slist* get() const { return list_; }

 private:
    curl_slist* list_ = nullptr;
};

}  // namespace mooncake
