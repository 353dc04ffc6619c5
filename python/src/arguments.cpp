// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include <pybind11/pybind11.h>

#include <utility>

namespace mooncake::python {

std::optional<std::vector<Slices>> slicesOf(const Keys& keys, const Addresses& addresses,
                                            const Sizes& sizes) {
    if (addresses.size() != keys.size() || sizes.size() != keys.size()) return std::nullopt;
    std::vector<Slices> lists;
    lists.reserve(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) lists.push_back({sliceAt(addresses[i], sizes[i])});
    return lists;
}

std::optional<std::vector<Slices>> slicesOf(const Keys& keys,
                                            const std::vector<Addresses>& addresses,
                                            const std::vector<Sizes>& sizes) {
    if (addresses.size() != keys.size() || sizes.size() != keys.size()) return std::nullopt;
    std::vector<Slices> lists(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
        if (addresses[i].size() != sizes[i].size()) continue;
        lists[i].reserve(sizes[i].size());
        for (size_t j = 0; j < sizes[i].size(); ++j) {
            lists[i].push_back(sliceAt(addresses[i][j], sizes[i][j]));
        }
    }
    return lists;
}

View::View(PyObject* object) {
    if (PyObject_GetBuffer(object, &view_, PyBUF_CONTIG_RO) != 0) {
        throw pybind11::error_already_set();
    }
}

View::View(View&& other) noexcept : view_(std::exchange(other.view_, {})) {}

View::~View() {
    PyBuffer_Release(&view_);
}

}  // namespace mooncake::python
