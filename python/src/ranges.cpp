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
        } else if (!isReachable({to}, Use::kIsWritten)) {
            result = toInt(ErrorCode::INVALID_PARAMS);
            reportUnreachable();
        } else {
            std::memcpy(to.ptr, object.bytes.get() + ranges.from[i], size);
            result = static_cast<int64_t>(size);
        }
    }
}

void handOut(const Object& object) {
    for (KeyRanges* const ranges : object.readers) copyOut(object, *ranges);
}

// Reads the objects and hands them to their readers, but for those that are larger by now, which
// *grown receives.
void readAll(Client& client, std::vector<Object*>& objects, std::vector<Object*>* grown) {
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
        object.error = sizes[i] ? 0 : toInt(sizes[i].error());
        if (object.error == toInt(ErrorCode::INVALID_PARAMS)) {
            grown->push_back(&object);
        } else {
            if (sizes[i]) object.size = *sizes[i];
            handOut(object);
        }
        object.bytes.reset();
    }
    objects.clear();
}

// Asks for the objects, and reads those that are there.
// @return those that are larger by now than when they were asked for
std::vector<Object*> readOnce(Client& client, const std::vector<Object*>& objects) {
    Keys keys;
    for (const Object* const object : objects) keys.push_back(*object->key);
    const auto found = client.BatchQuery(keys);
    std::vector<Object*> window, grown;
    uint64_t bytes = 0;
    for (size_t i = 0; i < objects.size(); ++i) {
        Object& object = *objects[i];
        if (!found[i]) {
            object.error = toInt(found[i].error());
            handOut(object);
            continue;
        }
        object.size = found[i]->size;
        if (bytes + object.size > kWindow && !window.empty()) {
            readAll(client, window, &grown);
            bytes = 0;
        }
        window.push_back(&object);
        bytes += object.size;
    }
    readAll(client, window, &grown);
    return grown;
}

}  // namespace

void readRanges(Client& client, std::vector<KeyRanges>& all) {
    // An object that others replace has another size each time.
    constexpr int kAttempts = 3;
    std::unordered_map<std::string, Object> objects;
    for (KeyRanges& ranges : all) {
        ranges.results.assign(ranges.sizes.size(), toInt(ErrorCode::INVALID_PARAMS));
        if (ranges.to.size() != ranges.sizes.size() || ranges.from.size() != ranges.sizes.size()) {
            continue;
        }
        objects[ranges.key].readers.push_back(&ranges);
    }
    std::vector<Object*> pending;
    for (auto& [key, object] : objects) {
        object.key = &key;
        pending.push_back(&object);
    }
    for (int attempt = 0; attempt < kAttempts && !pending.empty(); ++attempt) {
        pending = readOnce(client, pending);
    }
    for (const Object* const object : pending) handOut(*object);
}

}  // namespace mooncake::python
