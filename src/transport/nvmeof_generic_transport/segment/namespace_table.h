// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "shared_namespace.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic {

/// The namespaces of a transport, each once, as long as somebody holds it. Thread-safe.
class NamespaceTable {
 public:
    NamespaceTable(IoPool& pool, Retired& retired) : pool_(pool), retired_(retired) {}

    std::shared_ptr<SharedNamespace> get(const SharedNamespace::Key& key) {
        const MutexLock lock(mutex_);
        if (auto known = find(key)) return known;
        std::erase_if(namespaces_, [](const auto& entry) { return entry.second.expired(); });
        auto made = std::make_shared<SharedNamespace>(key, pool_, retired_);
        namespaces_.emplace(key, made);
        return made;
    }

    /// @return null where nobody holds it
    std::shared_ptr<SharedNamespace> known(const SharedNamespace::Key& key) {
        const MutexLock lock(mutex_);
        return find(key);
    }

    std::vector<std::shared_ptr<SharedNamespace>> all() {
        const MutexLock lock(mutex_);
        std::vector<std::shared_ptr<SharedNamespace>> alive;
        for (const auto& [key, weak] : namespaces_) {
            if (auto one = weak.lock()) alive.push_back(std::move(one));
        }
        return alive;
    }

 private:
    std::shared_ptr<SharedNamespace> find(const SharedNamespace::Key& key) MC_REQUIRES(mutex_) {
        const auto found = namespaces_.find(key);
        return found == namespaces_.end() ? nullptr : found->second.lock();
    }

    IoPool& pool_;
    Retired& retired_;
    Mutex mutex_;
    std::map<SharedNamespace::Key, std::weak_ptr<SharedNamespace>> namespaces_
        MC_GUARDED_BY(mutex_);
};

}  // namespace mooncake::nvmeof_generic
