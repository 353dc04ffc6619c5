// SPDX-License-Identifier: Apache-2.0
// What asks for objects and removes them.
#include "arguments.h"
#include "bindings.h"
#include "results.h"
#include "unlocked.h"

namespace mooncake::python {
namespace {

namespace py = pybind11;
using namespace py::literals;
using Numbers = std::vector<int64_t>;

// What `call` says of the client, or -600.
template <class Call>
int64_t one(Store& self, const Call& call) {
    const auto session = self.session();
    if (!session) return kNotSetUp;
    const Unlocked unlocked;
    return numberOf(call(session->client()));
}

// The same for each of the keys.
template <class Call>
Numbers many(Store& self, const Keys& keys, const Call& call) {
    const auto session = self.session();
    if (!session) return Numbers(keys.size(), kNotSetUp);
    const Unlocked unlocked;
    return numbersOf(call(session->client()));
}

int64_t getSize(Store& self, const std::string& key) {
    return one(self, [&](Client& client) -> tl::expected<uint64_t, ErrorCode> {
        const auto found = client.Query(key);
        if (!found) return tl::unexpected(found.error());
        return found->size;
    });
}

// Under the caller's own keys, which may be str or bytes.
py::dict batchGetReplicaDesc(Store& self, const std::vector<py::object>& keys) {
    py::dict all;
    const auto session = self.session();
    Keys texts;
    for (const py::object& key : keys) texts.push_back(key.cast<std::string>());
    if (!session) return all;
    const auto found = [&] {
        const Unlocked unlocked;
        return session->client().BatchQuery(texts);
    }();
    for (size_t i = 0; i < keys.size(); ++i) {
        if (found[i]) all[keys[i]] = py::cast(found[i]->replicas);
    }
    return all;
}

std::vector<Replica::Descriptor> getReplicaDesc(Store& self, const std::string& key) {
    const auto session = self.session();
    if (!session) return {};
    const Unlocked unlocked;
    const auto found = session->client().Query(key);
    return found ? found->replicas : std::vector<Replica::Descriptor>();
}

}  // namespace

void bindObjects(StoreClass& store) {
    store
        .def(
            "is_exist",
            [](Store& self, const std::string& key) {
                return one(self, [&](Client& client) { return client.IsExist(key); });
            },
            "key"_a, "1 where the object is there and a node serves it, 0, or a negative code.")
        .def(
            "batch_is_exist",
            [](Store& self, const Keys& keys) {
                return many(self, keys, [&](Client& client) { return client.BatchIsExist(keys); });
            },
            "keys"_a, "is_exist() for many keys at once.")
        .def("get_size", &getSize, "key"_a, "Bytes, or a negative code: -704 for a miss.")
        .def(
            "remove",
            [](Store& self, const std::string& key, bool) {
                return one(self, [&](Client& client) { return client.Remove(key); });
            },
            "key"_a, "force"_a = false,
            "0, or a negative code: -704 for a miss. force is without effect: nothing holds an\n"
            "object.")
        .def(
            "batch_remove",
            [](Store& self, const Keys& keys, bool) {
                return many(self, keys, [&](Client& client) { return client.BatchRemove(keys); });
            },
            "keys"_a, "force"_a = false, "remove() for many keys at once.")
        .def(
            "remove_by_regex",
            [](Store& self, const std::string& pattern, bool) {
                return one(self, [&](Client& client) { return client.RemoveByRegex(pattern); });
            },
            "regex_pattern"_a, "force"_a = false,
            "Removes the objects in a key of which the expression (ECMAScript, without\n"
            "back-references) is found. How many, or a negative code: -600 for what is none.")
        .def(
            "remove_all",
            [](Store& self, bool) {
                return one(self, [&](Client& client) { return client.RemoveAll(); });
            },
            "force"_a = false, "Removes all objects of the store. How many, or a negative code.")
        .def("get_replica_desc", &getReplicaDesc, "key"_a,
             "The object's copies; [] for a miss and for any error.")
        .def("batch_get_replica_desc", &batchGetReplicaDesc, "keys"_a,
             "The copies of each key that is there.");
}

}  // namespace mooncake::python
