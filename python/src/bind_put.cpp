// SPDX-License-Identifier: Apache-2.0
// What stores objects.
#include <algorithm>

#include "arguments.h"
#include "bindings.h"
#include "reach.h"
#include "replicate_options.h"
#include "results.h"
#include "unlocked.h"

namespace mooncake::python {
namespace {

namespace py = pybind11;
using namespace py::literals;
using Options = ReplicateOptions;
using Numbers = std::vector<int64_t>;

enum class Existing { kStays, kIsReplaced };

// As many codes as keys; -600 for each where `lists` is nothing.
Numbers putAll(Store& self, const Keys& keys, std::optional<std::vector<Slices>> lists,
               const Options& options, Existing existing) {
    const auto session = self.session();
    const auto config = options.config();
    if (!session || !config || !lists) return Numbers(keys.size(), kNotSetUp);
    const Unlocked unlocked;
    const bool is_partial = dropUnreachable(*lists, Use::kIsRead);
    Client& client = session->client();
    auto codes =
        numbersOf(existing == Existing::kStays ? client.BatchPut(keys, *lists, *config)
                                               : client.BatchUpsert(keys, *lists, *config));
    if (is_partial) reportUnreachable();
    return codes;
}

int64_t putOne(Store& self, const std::string& key, Slices slices, const Options& options,
               Existing existing) {
    return putAll(self, {key}, std::vector<Slices>{std::move(slices)}, options, existing).front();
}

uint64_t bytesOf(const Slices& slices) {
    uint64_t bytes = 0;
    for (const Slice& slice : slices) bytes += slice.size;
    return bytes;
}

bool fits(Store& self, const Slices& slices) {
    const auto session = self.session();
    return session && session->buffer()->fits(bytesOf(slices));
}

template <Existing existing>
int64_t put(Store& self, const std::string& key, const py::object& value, const Options& options) {
    const View view(value.ptr());
    if (!fits(self, {view.slice()})) return kNotSetUp;
    return putOne(self, key, {view.slice()}, options, existing);
}

template <Existing existing>
int64_t putParts(Store& self, const std::string& key, const py::args& parts,
                 const Options& options) {
    std::vector<View> views;
    Slices slices;
    for (const auto& part : parts) {
        const View& view = views.emplace_back(part.ptr());
        if (view.dimensions() != 1) {
            throw std::runtime_error("put_parts takes parts of one dimension, and one has " +
                                     std::to_string(view.dimensions()));
        }
        slices.push_back(view.slice());
    }
    if (!fits(self, slices)) return kNotSetUp;
    if (bytesOf(slices) == 0) return 0;
    return putOne(self, key, std::move(slices), options, existing);
}

template <Existing existing>
int64_t putBatch(Store& self, const Keys& keys, const std::vector<py::object>& values,
                 const Options& options) {
    if (keys.size() != values.size()) return kNotSetUp;
    std::vector<View> views;
    std::vector<Slices> lists;
    bool all_fit = true;
    for (const py::object& value : values) {
        views.emplace_back(value.ptr());
        lists.push_back({views.back().slice()});
        all_fit = all_fit && fits(self, lists.back());
    }
    if (!self.session() || !all_fit) return kNotSetUp;
    const Numbers codes = putAll(self, keys, std::move(lists), options, existing);
    const auto failed = std::find_if(codes.begin(), codes.end(), [](int64_t c) { return c != 0; });
    return failed == codes.end() ? 0 : *failed;
}

template <Existing existing>
int64_t putFrom(Store& self, const std::string& key, uintptr_t buffer_ptr, size_t size,
                const Options& options) {
    if (!self.session()) return kNotSetUp;
    if (size == 0) return 0;
    return putOne(self, key, {sliceAt(buffer_ptr, size)}, options, existing);
}

int64_t putFromWithMetadata(Store& self, const std::string& key, uintptr_t buffer_ptr,
                            uintptr_t metadata_buffer_ptr, size_t size, size_t metadata_size,
                            const Options& options) {
    return putOne(self, key,
                  {sliceAt(metadata_buffer_ptr, metadata_size), sliceAt(buffer_ptr, size)}, options,
                  Existing::kStays);
}

template <Existing existing>
Numbers batchPutFrom(Store& self, const Keys& keys, const Addresses& buffer_ptrs,
                     const Sizes& sizes, const Options& options) {
    return putAll(self, keys, slicesOf(keys, buffer_ptrs, sizes), options, existing);
}

Numbers batchPutFromMultiBuffers(Store& self, const Keys& keys,
                                 const std::vector<Addresses>& all_buffer_ptrs,
                                 const std::vector<Sizes>& all_sizes, const Options& options) {
    return putAll(self, keys, slicesOf(keys, all_buffer_ptrs, all_sizes), options,
                  Existing::kStays);
}

}  // namespace

void bindPut(StoreClass& store) {
    constexpr auto kStays = Existing::kStays;
    constexpr auto kIsReplaced = Existing::kIsReplaced;
    const Options plain;
    store
        .def("put", &put<kStays>, "key"_a, "value"_a, "config"_a = plain,
             "Stores a buffer's bytes (bytes, bytearray, a contiguous array). 0, also where the "
             "key\n"
             "is there already, which stays as it is; or a negative code: -600 for no bytes and "
             "for\n"
             "more than the local buffer has.")
        .def("upsert", &put<kIsReplaced>, "key"_a, "value"_a, "config"_a = plain,
             "As put(), and replaces what is there.")
        .def("put_parts", &putParts<kStays>, "key"_a, "config"_a = plain,
             "put_parts(key, *parts, config=...): stores the parts, one after the other, as one\n"
             "object. Each has one dimension, else RuntimeError. 0, also for no bytes, of which\n"
             "nothing is stored; or a negative code.")
        .def("upsert_parts", &putParts<kIsReplaced>, "key"_a, "config"_a = plain,
             "As put_parts(), and replaces what is there.")
        .def(
            "put_batch", &putBatch<kStays>, "keys"_a, "values"_a, "config"_a = plain,
            "Stores a buffer under each key. 0, or the first negative code; the others are stored\n"
            "nevertheless.")
        .def("upsert_batch", &putBatch<kIsReplaced>, "keys"_a, "values"_a, "config"_a = plain,
             "As put_batch(), and replaces what is there.")
        .def("put_from", &putFrom<kStays>, "key"_a, "buffer_ptr"_a, "size"_a, "config"_a = plain,
             "Stores size bytes at an address, without a copy. 0, also for size 0, of which "
             "nothing\n"
             "is stored; or a negative code.")
        .def("upsert_from", &putFrom<kIsReplaced>, "key"_a, "buffer_ptr"_a, "size"_a,
             "config"_a = plain, "As put_from(), and replaces what is there.")
        .def("put_from_with_metadata", &putFromWithMetadata, "key"_a, "buffer_ptr"_a,
             "metadata_buffer_ptr"_a, "size"_a, "metadata_size"_a, "config"_a = plain,
             "Stores metadata_size bytes and then size bytes as one object, without a copy. 0, or "
             "a\n"
             "negative code.")
        .def("batch_put_from", &batchPutFrom<kStays>, "keys"_a, "buffer_ptrs"_a, "sizes"_a,
             "config"_a = plain,
             "put_from() for many keys at once. A code for each: 0, or negative, -600 for size 0.\n"
             "Of a key that is there twice the last one counts.")
        .def("batch_upsert_from", &batchPutFrom<kIsReplaced>, "keys"_a, "buffer_ptrs"_a, "sizes"_a,
             "config"_a = plain, "As batch_put_from(), and replaces what is there.")
        .def("batch_put_from_multi_buffers", &batchPutFromMultiBuffers, "keys"_a,
             "all_buffer_ptrs"_a, "all_sizes"_a, "config"_a = plain,
             "Each object is what its buffers hold, one after the other. A code for each key.");
}

}  // namespace mooncake::python
