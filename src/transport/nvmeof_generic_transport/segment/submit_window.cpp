// SPDX-License-Identifier: Apache-2.0
#include "submit_window.h"

#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "repeated_request.h"

namespace mooncake::nvmeof_generic {

void SubmitWindow::add(const SharedNamespace::Opening& to, const IoRequest& request,
                       int retries) noexcept {
    if (count_ == kMost) submit();
    IoRequest& added = requests_[count_];
    to_[count_++] = &to;
    added = request;
    if (retries <= 0) return;
    std::unique_ptr<RepeatedRequest> repeated(
        new (std::nothrow) RepeatedRequest{request, retries, std::chrono::steady_clock::now()});
    if (repeated) added = RepeatedRequest::wrap(std::move(repeated));
}

void SubmitWindow::submit() noexcept {
    for (size_t from = 0; from < count_;) {
        size_t to = from + 1;
        while (to < count_ && to_[to] == to_[from]) ++to;
        pool_.submit(to_[from]->device, &requests_[from], to - from);
        from = to;
    }
    count_ = 0;
}

}  // namespace mooncake::nvmeof_generic
