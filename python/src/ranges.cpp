// SPDX-License-Identifier: Apache-2.0
#include "ranges.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "reach.h"
#include "results.h"

namespace mooncake::python {
namespace {

// Memory for objects that are under way at once, bytes; a larger object is read alone.
constexpr uint64_t kWindow = 64 << 20;

struct Object {
    const std::string* key;
    uint64_t size = 0;
    int64_t error = 0;
    std::vector<KeyRanges*> readers;
    std::unique_ptr<std::byte[]> bytes;
};

void copyOut(const Object& object, KeyRanges& ranges) {
    for (size_t i = 0; i < ranges.sizes.size(); ++i) {
        const uint64_t size = ranges.sizes[i];
        const Slice to = sliceAt(ranges.buffer + ranges.to[i], size);
        int64_t& result = ranges.results[i];
        if (object.error != 0) {
            result = object.error;
        } else if (ranges.from[i] > object.size || size > object.size - ranges.from[i] ||
                   ranges.to[i] > ranges.room || size > ranges.room - ranges.to[i] ||
                   ranges.buffer == 0) {
            result = toInt(ErrorCode::INVALID_PARAMS);
        } else if (!isReachable({to})) {
            result = toInt(ErrorCode::INVALID_PARAMS);
            reportUnreachable();
        } else {
            std::memcpy(to.ptr, object.bytes.get() + ranges.from[i], size);
            result = static_cast<int64_t>(size);
        }
    }
}

// Reads those of the objects that have no error, and hands them to their readers.
void readAll(Client& client, std::vector<Object*>& objects) {
    Keys keys;
    std::vector<Slices> slices;
    for (Object* const object : objects) {
        object->bytes = std::make_unique_for_overwrite<std::byte[]>(object->size);
        keys.push_back(*object->key);
        slices.push_back({{object->bytes.get(), object->size}});
    }
    const auto sizes = client.BatchGetInto(keys, slices);
    for (size_t i = 0; i < objects.size(); ++i) {
        Object& object = *objects[i];
        if (sizes[i]) {
            object.size = *sizes[i];
        } else {
            object.error = toInt(sizes[i].error());
        }
        for (KeyRanges* const ranges : object.readers) copyOut(object, *ranges);
        object.bytes.reset();
    }
    objects.clear();
}

}  // namespace

void readRanges(Client& client, std::vector<KeyRanges>& all) {
    Keys keys;
    std::vector<Object> objects;
    std::unordered_map<std::string, size_t> known;
    for (KeyRanges& ranges : all) {
        ranges.results.assign(ranges.sizes.size(), toInt(ErrorCode::INVALID_PARAMS));
        if (ranges.to.size() != ranges.sizes.size() || ranges.from.size() != ranges.sizes.size()) {
            continue;
        }
        const auto [at, is_new] = known.emplace(ranges.key, objects.size());
        if (is_new) {
            keys.push_back(ranges.key);
            objects.emplace_back().key = &at->first;
        }
        objects[at->second].readers.push_back(&ranges);
    }
    const auto found = client.BatchQuery(keys);
    std::vector<Object*> window;
    uint64_t bytes = 0;
    for (size_t i = 0; i < objects.size(); ++i) {
        Object& object = objects[i];
        if (!found[i]) {
            object.error = toInt(found[i].error());
            for (KeyRanges* const ranges : object.readers) copyOut(object, *ranges);
            continue;
        }
        object.size = found[i]->size;
        if (bytes + object.size > kWindow && !window.empty()) {
            readAll(client, window);
            bytes = 0;
        }
        window.push_back(&object);
        bytes += object.size;
    }
    readAll(client, window);
}

}  // namespace mooncake::python
