// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace mooncake::nvmeof_generic {

/// Bytes that are wiped when they are no longer needed. There is no copy and no operator<<: a
/// secret gets into a log or a string only by intent. One object is not to be changed by two
/// threads at once. Throws std::bad_alloc where there is no memory.
class Secret {
 public:
    Secret() = default;
    /// Room for `size` bytes, zeroed, and a NUL behind them.
    explicit Secret(size_t size) : data_(std::make_unique<char[]>(size + 1)), size_(size) {}
    explicit Secret(std::string_view text);
    Secret(Secret&& other) noexcept
        : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
    Secret& operator=(Secret&& other) noexcept;
    ~Secret() { wipe(); }

    bool empty() const { return size_ == 0; }
    size_t size() const { return size_; }
    char* data() { return data_.get(); }
    std::string_view view() const { return {data_.get(), size_}; }
    /// Ends in NUL; "" when empty. Valid as long as this object.
    const char* text() const { return data_ ? data_.get() : ""; }
    void wipe();

 private:
    std::unique_ptr<char[]> data_;
    size_t size_ = 0;
};

}  // namespace mooncake::nvmeof_generic
