// SPDX-License-Identifier: Apache-2.0
// MetadataStorage: a key-value store that all nodes share. One class per kind of store.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/base/status.h"
#include "store_limits.h"

namespace mooncake {

// Thread rule: every function may be called from any thread, several at once. Each call ends in
// bounded time.
class MetadataStorage {
 public:
    enum class Outcome {
        kOk,
        kNotFound,  // the store answered: there is no such key
        kRefused,   // the store answered: it will not do that
        kConflict,  // the store answered: something else is there than was expected
        kFailed,    // no answer, or none that makes sense
    };

    // `error` names the store, the key and the cause; empty where the outcome is kOk.
    struct Result {
        Outcome outcome = Outcome::kOk;
        std::string error;

        bool ok() const { return outcome == Outcome::kOk; }
    };

    // What lies under a key: bytes, or nothing.
    using Entry = std::optional<std::string>;

    virtual ~MetadataStorage() = default;

    // `value` receives the bytes that were set; unchanged unless the outcome is kOk.
    virtual Result get(const std::string& key, std::string* value) = 0;
    virtual Result set(const std::string& key, const std::string& value) = 0;
    virtual Result remove(const std::string& key) = 0;

    // Makes `desired` lie under `key` (nothing: removes it) if `expected` lies there. The store
    // compares and changes in one step, except for an HTTP server that answers no entity tags: what
    // comes between the two is lost there. kOk also where `desired` lies there already, so that an
    // attempt whose answer got lost can be repeated; kConflict, with what does lie there in *found,
    // where it is neither.
    virtual Result exchange(const std::string& key, const Entry& expected, const Entry& desired,
                            Entry* found) = 0;
    static Result conflict(const std::string& key) {
        return {Outcome::kConflict, "the entry '" + key + "' is not what it was"};
    }

    // Where the nodes themselves are the store: begins to answer the others at `host` and *port; 0
    // takes a free port, which *port receives. Does nothing the second time, and for other stores.
    virtual Result listen(const std::string& host, uint16_t* port) {
        (void)host, (void)port;
        return {};
    }
    // Whether what is set stays when this process ends, in a place that may lose it before.
    virtual bool outlivesProcess() const { return true; }
};

// The beginning of what a store answered, fit for a log line.
std::string logExcerpt(const std::string& text);

// The store that a connection string names, not yet connected to. InvalidArgument where the string
// is malformed, NotImplemented where it names a kind of store that this build does not have; the
// message says which it has.
Status createMetadataStorage(const std::string& conn_string, const StoreLimits& limits,
                             std::shared_ptr<MetadataStorage>* storage);

}  // namespace mooncake
