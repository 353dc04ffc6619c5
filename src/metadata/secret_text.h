// SPDX-License-Identifier: Apache-2.0
// A password, a token or what holds one: no copy of it is left in memory that has been given back.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace mooncake {

class SecretText {
 public:
    SecretText() = default;
    // NOLINTNEXTLINE(google-explicit-constructor): a text where one is wanted
    SecretText(std::string_view text) { append(text); }
    SecretText(const SecretText& other) : SecretText(other.view()) {}
    SecretText(SecretText&& other) noexcept { swap(other); }
    SecretText& operator=(SecretText other) noexcept {
        swap(other);
        return *this;
    }
    ~SecretText() {
        if (bytes_) explicit_bzero(bytes_.get(), capacity_);
    }

    bool empty() const { return size_ == 0; }
    std::string_view view() const { return {bytes_.get(), size_}; }
    // Ends with a zero that does not count.
    const char* c_str() const { return bytes_ ? bytes_.get() : ""; }

    SecretText& append(std::string_view text) {
        reserve(size_ + text.size());
        if (!text.empty()) std::memcpy(bytes_.get() + size_, text.data(), text.size());
        size_ += text.size();
        bytes_[size_] = '\0';
        return *this;
    }

 private:
    void swap(SecretText& other) noexcept {
        bytes_.swap(other.bytes_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }
    void reserve(size_t size) {
        if (bytes_ && size < capacity_) return;
        SecretText longer;
        longer.capacity_ = 2 * size + 1;
        longer.bytes_ = std::make_unique<char[]>(longer.capacity_);
        if (size_ != 0) std::memcpy(longer.bytes_.get(), bytes_.get(), size_);
        longer.size_ = size_;
        swap(longer);
    }

    std::unique_ptr<char[]> bytes_;
    size_t size_ = 0;
    size_t capacity_ = 0;  // the final zero included
};

}  // namespace mooncake
