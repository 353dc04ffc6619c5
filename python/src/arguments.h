// SPDX-License-Identifier: Apache-2.0
// From Python's lists of addresses and sizes, and its buffers, to slices.
#pragma once

#include <Python.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mooncake_store/types.h"

namespace mooncake::python {

using Keys = std::vector<std::string>;
using Addresses = std::vector<uintptr_t>;
using Sizes = std::vector<size_t>;
using Slices = std::vector<Slice>;

inline Slice sliceAt(uintptr_t address, size_t size) {
    return {reinterpret_cast<void*>(address), size};
}

// One slice for each key. Nothing where the numbers of elements differ.
std::optional<std::vector<Slices>> slicesOf(const Keys& keys, const Addresses& addresses,
                                            const Sizes& sizes);
// Several for each key; none, which every call refuses, where the numbers within a key differ.
std::optional<std::vector<Slices>> slicesOf(const Keys& keys,
                                            const std::vector<Addresses>& addresses,
                                            const std::vector<Sizes>& sizes);

// The bytes of an object with the buffer protocol, which cannot be resized meanwhile.
//
// Thread rule: made and destroyed by a thread that has the GIL.
class View {
 public:
    // Throws Python's error where it is no buffer, or is not contiguous.
    explicit View(PyObject* object);
    View(View&& other) noexcept;
    View& operator=(View&&) = delete;
    ~View();

    Slice slice() const { return {view_.buf, static_cast<size_t>(view_.len)}; }
    int dimensions() const { return view_.ndim; }

 private:
    Py_buffer view_;
};

}  // namespace mooncake::python
