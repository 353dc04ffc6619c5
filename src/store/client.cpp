// SPDX-License-Identifier: Apache-2.0
// The public interface: checks that the client is open, and turns errors into codes.
#include "mooncake_store/client.h"

#include <exception>

#include "client_core.h"
#include "report.h"

namespace mooncake {
namespace {

using store::ClientCore;
using store::report;
using Code = ErrorCode;
using Keys = std::vector<std::string>;

constexpr char kClosed[] = "the client is closed; make a new one";
constexpr char kInherited[] =
    "the client was made by the process that this one was forked from; make a new one";

// Without memory for the message, none is kept.
tl::unexpected<Code> thrown(const std::exception& error) noexcept {
    try {
        return report(Code::INTERNAL_ERROR, error.what());
    } catch (const std::exception&) {
        return tl::unexpected(Code::INTERNAL_ERROR);
    }
}

// What `call` gives, or an error of the whole call.
template <class Value, class Call>
tl::expected<Value, Code> one(ClientCore& core, const Call& call) noexcept {
    try {
        if (core.isInherited()) return report(Code::UNAVAILABLE_IN_CURRENT_STATUS, kInherited);
        const auto pass = core.gate().enter();
        if (!pass) return report(Code::UNAVAILABLE_IN_CURRENT_STATUS, kClosed);
        return call();
    } catch (const std::exception& error) {
        return thrown(error);
    }
}

// The same for each of `count` results.
template <class Value, class Call>
std::vector<tl::expected<Value, Code>> many(ClientCore& core, size_t count, const Call& call) {
    using Results = std::vector<tl::expected<Value, Code>>;
    const auto results = [&](tl::unexpected<Code> code) {
        return Results(count, tl::expected<Value, Code>(std::move(code)));
    };
    try {
        if (core.isInherited()) {
            return results(report(Code::UNAVAILABLE_IN_CURRENT_STATUS, kInherited));
        }
        const auto pass = core.gate().enter();
        if (!pass) return results(report(Code::UNAVAILABLE_IN_CURRENT_STATUS, kClosed));
        return call();
    } catch (const std::exception& error) {
        return results(thrown(error));
    }
}

template <class Value>
std::vector<tl::expected<Value, Code>> mismatch(size_t keys, size_t lists) {
    return {keys,
            tl::expected<Value, Code>(report(
                Code::INVALID_PARAMS, std::to_string(keys) + " keys and " + std::to_string(lists) +
                                          " lists; there must be one for each"))};
}

tl::expected<void, Code> done(const store::Result<>& result) {
    if (!result) return report(result.error());
    return {};
}

tl::expected<void, Code> without(tl::expected<uint64_t, Code> result) {
    if (!result) return tl::unexpected(result.error());
    return {};
}

std::vector<tl::expected<void, Code>> without(std::vector<tl::expected<uint64_t, Code>> results) {
    std::vector<tl::expected<void, Code>> all;
    all.reserve(results.size());
    for (auto& result : results) all.push_back(without(result));
    return all;
}

std::vector<tl::expected<uint64_t, Code>> getAll(ClientCore& core,
                                                 std::vector<store::GetCall::Item> items) {
    core.get(items);
    std::vector<tl::expected<uint64_t, Code>> results;
    results.reserve(items.size());
    for (auto& item : items) results.push_back(item.result);
    return results;
}

std::vector<tl::expected<void, Code>> putAll(ClientCore& core, const Keys& keys,
                                             const std::vector<std::vector<Slice>>& slices,
                                             const ReplicateConfig& config, bool replaces) {
    if (keys.size() != slices.size()) return mismatch<void>(keys.size(), slices.size());
    return many<void>(core, keys.size(), [&] {
        std::vector<store::PutCall::Item> items(keys.size());
        for (size_t i = 0; i < keys.size(); ++i) {
            items[i].key = &keys[i];
            items[i].slices = slices[i];
        }
        core.put(items, config, replaces);
        std::vector<tl::expected<void, Code>> results;
        for (auto& item : items) results.push_back(item.result);
        return results;
    });
}

// The slices of a key, or none.
std::span<const Slice> slicesOf(const std::unordered_map<std::string, std::vector<Slice>>& slices,
                                const std::string& key) {
    const auto found = slices.find(key);
    return found == slices.end() ? std::span<const Slice>() : std::span<const Slice>(found->second);
}

}  // namespace

Client::Client(std::shared_ptr<ClientCore> core) : core_(std::move(core)) {}

Client::~Client() {
    // What a forked child has inherited is its parent's: it stays as it is.
    if (core_->isInherited()) {
        [[maybe_unused]] static auto* const kept = new std::vector<std::shared_ptr<ClientCore>>();
        kept->push_back(core_);
        return;
    }
    (void)Close();
}

std::optional<std::shared_ptr<Client>> Client::Create(
    const std::string& local_hostname, const std::string& metadata_connstring,
    const std::string& protocol, const std::optional<std::string>& device_names,
    const std::string& master_server_entry,
    const std::shared_ptr<TransferEngine>& transfer_engine) {
    ClientOptions options;
    options.local_hostname = local_hostname;
    options.metadata_server = metadata_connstring;
    options.protocol = protocol;
    options.protocol_args = device_names.value_or("");
    options.directory = master_server_entry;
    options.engine = transfer_engine;
    auto client = Create(options);
    if (!client) return std::nullopt;
    return std::move(*client);
}

tl::expected<std::shared_ptr<Client>, Code> Client::Create(const ClientOptions& options) {
    try {
        auto core = ClientCore::start(options);
        if (!core) return report(core.error());
        return std::shared_ptr<Client>(new Client(std::move(*core)));
    } catch (const std::exception& error) {
        return thrown(error);
    }
}

tl::expected<void, Code> Client::Close() {
    try {
        if (core_->isInherited()) return report(Code::UNAVAILABLE_IN_CURRENT_STATUS, kInherited);
        core_->close();
        return {};
    } catch (const std::exception& error) {
        return thrown(error);
    }
}

// --- Get

std::vector<tl::expected<uint64_t, Code>> Client::BatchGetInto(
    const Keys& object_keys, const std::vector<std::vector<Slice>>& slices) {
    if (object_keys.size() != slices.size()) {
        return mismatch<uint64_t>(object_keys.size(), slices.size());
    }
    return many<uint64_t>(*core_, object_keys.size(), [&] {
        std::vector<store::GetCall::Item> items(object_keys.size());
        for (size_t i = 0; i < items.size(); ++i) {
            items[i].key = &object_keys[i];
            items[i].slices = slices[i];
        }
        return getAll(*core_, std::move(items));
    });
}

std::vector<tl::expected<CopyCounts, Code>> Client::BatchVerify(
    const Keys& object_keys, const std::vector<std::vector<Slice>>& slices) {
    if (object_keys.size() != slices.size()) {
        return mismatch<CopyCounts>(object_keys.size(), slices.size());
    }
    return many<CopyCounts>(*core_, object_keys.size(), [&] {
        std::vector<CopyCounts> counts(object_keys.size());
        std::vector<store::GetCall::Item> items(object_keys.size());
        for (size_t i = 0; i < items.size(); ++i) {
            items[i].key = &object_keys[i];
            items[i].slices = slices[i];
            items[i].copies = &counts[i];
        }
        core_->get(items);
        std::vector<tl::expected<CopyCounts, Code>> results;
        results.reserve(items.size());
        for (size_t i = 0; i < items.size(); ++i) {
            if (items[i].result) {
                results.emplace_back(counts[i]);
            } else {
                results.emplace_back(tl::unexpected(items[i].result.error()));
            }
        }
        return results;
    });
}

tl::expected<void, Code> Client::Get(const std::string& object_key, std::vector<Slice>& slices) {
    return one<void>(*core_, [&] {
        store::GetCall::Item item{&object_key, slices};
        core_->get({&item, 1});
        return without(item.result);
    });
}

tl::expected<void, Code> Client::Get(const std::string& object_key, const QueryResult& query_result,
                                     std::vector<Slice>& slices) {
    return one<void>(*core_, [&] {
        store::GetCall::Item item{&object_key, slices, ClientCore::entryOf(query_result)};
        core_->get({&item, 1});
        return without(item.result);
    });
}

std::vector<tl::expected<void, Code>> Client::BatchGet(
    const Keys& object_keys, std::unordered_map<std::string, std::vector<Slice>>& slices) {
    return many<void>(*core_, object_keys.size(), [&] {
        std::vector<store::GetCall::Item> items(object_keys.size());
        for (size_t i = 0; i < items.size(); ++i) {
            items[i].key = &object_keys[i];
            items[i].slices = slicesOf(slices, object_keys[i]);
        }
        return without(getAll(*core_, std::move(items)));
    });
}

std::vector<tl::expected<void, Code>> Client::BatchGet(
    const Keys& object_keys, const std::vector<QueryResult>& query_results,
    std::unordered_map<std::string, std::vector<Slice>>& slices, bool) {
    if (object_keys.size() != query_results.size()) {
        return mismatch<void>(object_keys.size(), query_results.size());
    }
    return many<void>(*core_, object_keys.size(), [&] {
        std::vector<store::GetCall::Item> items(object_keys.size());
        for (size_t i = 0; i < items.size(); ++i) {
            items[i].key = &object_keys[i];
            items[i].slices = slicesOf(slices, object_keys[i]);
            items[i].entry = ClientCore::entryOf(query_results[i]);
        }
        return without(getAll(*core_, std::move(items)));
    });
}

tl::expected<QueryResult, Code> Client::Query(const std::string& object_key) {
    return one<QueryResult>(*core_, [&] { return core_->query({object_key}).front(); });
}

std::vector<tl::expected<QueryResult, Code>> Client::BatchQuery(const Keys& object_keys) {
    return many<QueryResult>(*core_, object_keys.size(), [&] { return core_->query(object_keys); });
}

tl::expected<std::unordered_map<std::string, std::vector<Replica::Descriptor>>, Code>
Client::QueryByRegex(const std::string& text) {
    using Found = std::unordered_map<std::string, std::vector<Replica::Descriptor>>;
    return one<Found>(*core_, [&]() -> tl::expected<Found, Code> {
        const auto pattern = store::KeyPattern::compile(text);
        if (!pattern) return report(pattern.error());
        auto found = core_->queryMatching(*pattern);
        if (!found) return report(found.error());
        return std::move(*found);
    });
}

// --- Put

tl::expected<void, Code> Client::Put(const ObjectKey& key, std::vector<Slice>& slices,
                                     const ReplicateConfig& config) {
    return one<void>(*core_, [&] {
        store::PutCall::Item item{&key, slices};
        core_->put({&item, 1}, config, false);
        return item.result;
    });
}

std::vector<tl::expected<void, Code>> Client::BatchPut(
    const std::vector<ObjectKey>& keys, std::vector<std::vector<Slice>>& batched_slices,
    const ReplicateConfig& config) {
    return putAll(*core_, keys, batched_slices, config, false);
}

std::vector<tl::expected<void, Code>> Client::BatchUpsert(
    const std::vector<ObjectKey>& keys, std::vector<std::vector<Slice>>& batched_slices,
    const ReplicateConfig& config) {
    return putAll(*core_, keys, batched_slices, config, true);
}

// --- Remove

tl::expected<void, Code> Client::Remove(const ObjectKey& key) {
    return BatchRemove({key}).front();
}

std::vector<tl::expected<void, Code>> Client::BatchRemove(const std::vector<ObjectKey>& keys) {
    return many<void>(*core_, keys.size(), [&] {
        std::vector<tl::expected<void, Code>> results(keys.size());
        const auto removed = core_->remove(keys);
        const auto failure =
            removed ? tl::unexpected(Code::OBJECT_NOT_FOUND) : report(removed.error());
        for (size_t i = 0; i < keys.size(); ++i) {
            if (!removed || !(*removed)[i]) results[i] = failure;
        }
        return results;
    });
}

tl::expected<long, Code> Client::RemoveByRegex(const ObjectKey& text) {
    return one<long>(*core_, [&]() -> tl::expected<long, Code> {
        const auto pattern = store::KeyPattern::compile(text);
        if (!pattern) return report(pattern.error());
        const auto removed = core_->removeMatching(*pattern);
        if (!removed) return report(removed.error());
        return static_cast<long>(*removed);
    });
}

tl::expected<long, Code> Client::RemoveAll() {
    return one<long>(*core_, [&]() -> tl::expected<long, Code> {
        const auto removed = core_->removeAll();
        if (!removed) return report(removed.error());
        return static_cast<long>(*removed);
    });
}

// --- IsExist

std::vector<tl::expected<bool, Code>> Client::BatchIsExist(const Keys& keys) {
    return many<bool>(*core_, keys.size(), [&] {
        std::vector<tl::expected<bool, Code>> results;
        results.reserve(keys.size());
        const auto there = core_->exists(keys);
        if (!there) {
            const auto failure = report(there.error());
            results.assign(keys.size(), tl::expected<bool, Code>(failure));
            return results;
        }
        for (const bool is_there : *there) results.emplace_back(is_there);
        return results;
    });
}

tl::expected<bool, Code> Client::IsExist(const std::string& key) {
    return BatchIsExist({key}).front();
}

// --- Space

tl::expected<void, Code> Client::MountSegment(const void*, size_t) {
    return report(Code::NOT_SUPPORTED,
                  "memory is no part of this store; mount a file, or a scratch file");
}

tl::expected<void, Code> Client::UnmountSegment(const void*, size_t) {
    return report(Code::NOT_SUPPORTED, "memory is no part of this store");
}

tl::expected<void, Code> Client::MountFileSegment(const std::string& path) {
    return MountFileSegment(path, MountOptions());
}

tl::expected<void, Code> Client::MountFileSegment(const std::string& path,
                                                  const MountOptions& options) {
    return one<void>(*core_, [&] {
        auto mounted = core_->mount(path, options.overwrite);
        // A file that is not there is none that can be mounted.
        if (!mounted && mounted.error().failure == store::Failure::kNotFound) {
            mounted.error().failure = store::Failure::kInvalid;
        }
        return done(mounted);
    });
}

tl::expected<std::string, Code> Client::MountScratchFile(const std::string& folder, uint64_t size) {
    return one<std::string>(*core_, [&]() -> tl::expected<std::string, Code> {
        auto path = core_->mountScratch(folder, size);
        if (!path) return report(path.error());
        return std::move(*path);
    });
}

tl::expected<void, Code> Client::UnmountFileSegment(const std::string& path) {
    return one<void>(*core_, [&] { return done(core_->unmount(path)); });
}

// --- Memory

tl::expected<void, Code> Client::RegisterLocalMemory(void* addr, size_t length,
                                                     const std::string& location,
                                                     bool remote_accessible, bool update_metadata) {
    return one<void>(*core_, [&]() -> tl::expected<void, Code> {
        if (core_->engine().registerLocalMemory(addr, length, location, remote_accessible,
                                                update_metadata) == 0) {
            return {};
        }
        return report(Code::INVALID_PARAMS,
                      "the memory is not registered; the engine's log says why");
    });
}

tl::expected<void, Code> Client::unregisterLocalMemory(void* addr, bool update_metadata) {
    return one<void>(*core_, [&]() -> tl::expected<void, Code> {
        if (core_->engine().unregisterLocalMemory(addr, update_metadata) == 0) return {};
        return report(Code::INVALID_PARAMS, "no memory is registered that begins there");
    });
}

// --- What is going on

std::string Client::GetTransportEndpoint() {
    const auto name = one<std::string>(
        *core_, [&]() -> tl::expected<std::string, Code> { return core_->segmentName(); });
    return name.value_or("");
}

tl::expected<std::string, Code> Client::GetSummaryMetrics() {
    return one<std::string>(*core_,
                            [&]() -> tl::expected<std::string, Code> { return core_->summary(); });
}

tl::expected<void, Code> Client::SerializeMetrics(std::string& str) {
    return one<void>(*core_, [&]() -> tl::expected<void, Code> {
        str += core_->metricsText();
        return {};
    });
}

ClientStatistics Client::Statistics() const {
    return core_->statistics();
}

tl::expected<void, Code> Client::HealthCheck() {
    return one<void>(*core_, [&] { return done(core_->health()); });
}

std::string Client::LastError() {
    return store::lastError();
}

}  // namespace mooncake
