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
    IoItem& item = items_[count_++];
    item = {to.device.get(), request};
    if (retries <= 0) return;
    std::unique_ptr<RepeatedRequest> repeated(
        new (std::nothrow) RepeatedRequest{request, retries, std::chrono::steady_clock::now()});
    if (repeated) item.request = RepeatedRequest::wrap(std::move(repeated));
}

void SubmitWindow::submit() noexcept {
    if (count_ > 0) pool_.submit(items_.data(), count_, who_);
    count_ = 0;
}

}  // namespace mooncake::nvmeof_generic
