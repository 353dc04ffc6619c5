// SPDX-License-Identifier: Apache-2.0
#include "connection_table.h"

#include <cerrno>
#include <new>
#include <utility>

namespace mooncake::nvmeof_generic {

ConnectionTable::Connected ConnectionTable::get(const std::string& key, const std::stop_token& stop,
                                                const std::function<Connected()>& make) {
    std::shared_ptr<KernelConnection> known;  // its end may take long: never under the lock
    std::unique_lock lock(mutex_);
    while (true) {
        dropEnded();
        Entry& entry = entries_[key];
        if (entry.attempt) {
            const auto attempt = entry.attempt;
            if (!attemptEnded_.wait(lock, stop, [&] { return attempt->result.has_value(); })) {
                return makeError(ECANCELED, "waiting for the connection to " + key);
            }
            return *attempt->result;
        }
        auto current = entry.connection.lock();
        if (!current) return makeOne(lock, key, make);
        lock.unlock();
        known = std::move(current);
        if (known->isUsable()) return known;
        lock.lock();
        // Unless another caller has replaced it meanwhile.
        const auto again = entries_.find(key);
        if (again != entries_.end() && again->second.connection.lock() == known) {
            again->second.connection.reset();
        }
    }
}

ConnectionTable::Connected ConnectionTable::makeOne(std::unique_lock<std::mutex>& lock,
                                                    const std::string& key,
                                                    const std::function<Connected()>& make) {
    const auto attempt = std::make_shared<Attempt>();
    entries_[key].attempt = attempt;
    lock.unlock();
    Connected made = Error{0, {}};
    try {
        made = make();
    } catch (const std::bad_alloc&) {
        // Others wait for a result.
        made = outOfMemory("cannot connect to", key);
    }
    lock.lock();
    Entry& entry = entries_[key];
    entry.attempt = nullptr;
    if (made.ok()) entry.connection = made.value();
    attempt->result = std::move(made);
    attemptEnded_.notify_all();
    lock.unlock();
    return *attempt->result;
}

size_t ConnectionTable::size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
}

void ConnectionTable::dropEnded() {
    std::erase_if(entries_, [](const auto& entry) {
        return !entry.second.attempt && entry.second.connection.expired();
    });
}

}  // namespace mooncake::nvmeof_generic
