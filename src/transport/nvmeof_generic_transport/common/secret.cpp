// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/secret.h"

#include <cstring>

namespace mooncake::nvmeof_generic {

Secret::Secret(std::string_view text) : Secret(text.size()) {
    std::memcpy(data_.get(), text.data(), text.size());
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe();
        data_ = std::move(other.data_);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

void Secret::wipe() {
    if (data_) explicit_bzero(data_.get(), size_);
    data_.reset();
    size_ = 0;
}

}  // namespace mooncake::nvmeof_generic
