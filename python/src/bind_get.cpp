// SPDX-License-Identifier: Apache-2.0
// What reads objects.
#include "arguments.h"
#include "bindings.h"
#include "fetch.h"
#include "ranges.h"
#include "reach.h"
#include "results.h"
#include "unlocked.h"

namespace mooncake::python {
namespace {

namespace py = pybind11;
using namespace py::literals;
using Numbers = std::vector<int64_t>;
template <class Value>
using Nested = std::vector<std::vector<std::vector<Value>>>;

class Bytes {
 public:
    static std::optional<Bytes> make(Session&, uint64_t size) {
        PyObject* const object = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
        if (object == nullptr) throw py::error_already_set();
        return Bytes(py::reinterpret_steal<py::bytes>(object));
    }
    void* data() { return PyBytes_AS_STRING(object_.ptr()); }
    void shrink(uint64_t size) {
        if (size == static_cast<uint64_t>(PyBytes_GET_SIZE(object_.ptr()))) return;
        object_ = py::bytes(PyBytes_AS_STRING(object_.ptr()), size);
    }
    py::bytes take() { return std::move(object_); }

 private:
    explicit Bytes(py::bytes object) : object_(std::move(object)) {}

    py::bytes object_;
};

class Handle {
 public:
    static std::optional<Handle> make(Session& session, uint64_t size) {
        auto handle = BufferHandle::take(session.buffer(), size);
        if (!handle) return std::nullopt;
        return Handle(std::move(handle));
    }
    void* data() { return handle_->data(); }
    void shrink(uint64_t size) { handle_->shrink(size); }
    std::unique_ptr<BufferHandle> take() { return std::move(handle_); }

 private:
    explicit Handle(std::unique_ptr<BufferHandle> handle) : handle_(std::move(handle)) {}

    std::unique_ptr<BufferHandle> handle_;
};

std::vector<py::bytes> getBatch(Store& self, const Keys& keys) {
    const auto session = self.session();
    if (!session || keys.empty()) return {py::bytes()};
    std::vector<py::bytes> values;
    for (auto& found : fetch<Bytes>(*session, keys)) {
        values.push_back(found ? found->take() : py::bytes());
    }
    return values;
}

std::vector<std::unique_ptr<BufferHandle>> batchGetBuffer(Store& self, const Keys& keys) {
    const auto session = self.session();
    std::vector<std::unique_ptr<BufferHandle>> handles(keys.size());
    if (!session) return handles;
    auto found = fetch<Handle>(*session, keys);
    for (size_t i = 0; i < keys.size(); ++i) {
        if (found[i]) handles[i] = found[i]->take();
    }
    return handles;
}

Numbers getAll(Store& self, const Keys& keys, std::optional<std::vector<Slices>> lists) {
    const auto session = self.session();
    if (!session || !lists) return Numbers(keys.size(), kNotSetUp);
    const Unlocked unlocked;
    const bool is_partial = dropUnreachable(*lists, Use::kIsWritten);
    auto sizes = numbersOf(session->client().BatchGetInto(keys, *lists));
    if (is_partial) reportUnreachable();
    return sizes;
}

int64_t getInto(Store& self, const std::string& key, uintptr_t buffer_ptr, size_t size) {
    return getAll(self, {key}, std::vector<Slices>{{sliceAt(buffer_ptr, size)}}).front();
}

Numbers batchGetInto(Store& self, const Keys& keys, const Addresses& buffer_ptrs,
                     const Sizes& sizes) {
    return getAll(self, keys, slicesOf(keys, buffer_ptrs, sizes));
}

Numbers batchGetIntoMultiBuffers(Store& self, const Keys& keys,
                                 const std::vector<Addresses>& all_buffer_ptrs,
                                 const std::vector<Sizes>& all_sizes,
                                 bool /*prefer_alloc_in_same_node*/) {
    return getAll(self, keys, slicesOf(keys, all_buffer_ptrs, all_sizes));
}

// Elements that lack one of the other lists have none of it, which is refused.
template <class Value>
std::vector<Value> at(const Nested<Value>& lists, size_t buffer, size_t key) {
    if (buffer >= lists.size() || key >= lists[buffer].size()) return {};
    return lists[buffer][key];
}

Nested<int64_t> getIntoRanges(Store& self, const Addresses& buffer_ptrs,
                              const std::vector<Keys>& all_keys,
                              const Nested<uint64_t>& all_dst_offsets,
                              const Nested<uint64_t>& all_src_offsets,
                              const Nested<uint64_t>& all_sizes) {
    const auto session = self.session();
    std::vector<KeyRanges> ranges;
    for (size_t i = 0; i < all_keys.size(); ++i) {
        for (size_t j = 0; j < all_keys[i].size(); ++j) {
            KeyRanges& one = ranges.emplace_back();
            one.key = all_keys[i][j];
            one.to = at(all_dst_offsets, i, j);
            one.from = at(all_src_offsets, i, j);
            one.sizes = at(all_sizes, i, j);
            one.results.assign(one.sizes.size(), kNotSetUp);
            if (i >= buffer_ptrs.size() || !session) continue;
            one.buffer = buffer_ptrs[i];
            one.room = session->memory().bytesFrom(one.buffer).value_or(UINT64_MAX);
        }
    }
    if (session) {
        const Unlocked unlocked;
        readRanges(session->client(), ranges);
    }
    Nested<int64_t> results(all_keys.size());
    auto next = ranges.begin();
    for (size_t i = 0; i < all_keys.size(); ++i) {
        for (size_t j = 0; j < all_keys[i].size(); ++j) {
            results[i].push_back(std::move(next++->results));
        }
    }
    return results;
}

}  // namespace

void bindGet(StoreClass& store) {
    store
        .def(
            "get",
            [](Store& self, const std::string& key) { return getBatch(self, {key}).front(); },
            "key"_a,
            "The object's bytes. b'' for a miss, for any error, and where the local buffer is\n"
            "smaller than the object.")
        .def("get_batch", &getBatch, "keys"_a,
             "get() for many keys. [b''] for no keys and where it is not set up.")
        .def(
            "get_buffer",
            [](Store& self, const std::string& key) {
                return std::move(batchGetBuffer(self, {key}).front());
            },
            "key"_a,
            "The object in memory of the local buffer. None for a miss, for any error, and where\n"
            "that has no room.")
        .def("batch_get_buffer", &batchGetBuffer, "keys"_a, "get_buffer() for many keys.")
        .def("get_into", &getInto, "key"_a, "buffer_ptr"_a, "size"_a,
             "Reads the object to an address where size bytes may be written, without a copy. The\n"
             "object's bytes, or a negative code: -704 for a miss, -600 where it is larger than\n"
             "size (nothing is read then). After another error the memory holds anything.")
        .def("batch_get_into", &batchGetInto, "keys"_a, "buffer_ptrs"_a, "sizes"_a,
             "get_into() for many keys at once: bytes or a negative code for each.")
        .def("batch_get_into_multi_buffers", &batchGetIntoMultiBuffers, "keys"_a,
             "all_buffer_ptrs"_a, "all_sizes"_a, "prefer_alloc_in_same_node"_a = false,
             "Each object goes to its buffers, one after the other: bytes or a negative code for\n"
             "each key. prefer_alloc_in_same_node is without effect.")
        .def("get_into_ranges", &getIntoRanges, "buffer_ptrs"_a, "all_keys"_a, "all_dst_offsets"_a,
             "all_src_offsets"_a, "all_sizes"_a,
             "Parts of objects: for each buffer a list of keys, and for each of these lists of\n"
             "offsets into the buffer, offsets into the object, and sizes, in bytes. Bytes or a\n"
             "negative code in the form of all_sizes: -704 for a miss, -600 for what lies outside\n"
             "of the object or of a registered buffer. Whole objects are read for it.");
}

}  // namespace mooncake::python
