// SPDX-License-Identifier: Apache-2.0
#include "resolver.h"

#include <glog/logging.h>
#include <netinet/in.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <utility>

#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake {

namespace {

int lookUp(const std::string& host, Resolver::Addresses* addresses) {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (error != 0) return error;
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        if (one->ai_addrlen > sizeof(sockaddr_storage)) continue;
        sockaddr_storage address = {};
        std::memcpy(&address, one->ai_addr, one->ai_addrlen);
        addresses->push_back(address);
    }
    return addresses->empty() ? EAI_NONAME : 0;
}

// Whether the name service has answered, and said that there is no such host.
bool isAnswer(int error) {
    return error == EAI_NONAME || error == EAI_NODATA || error == EAI_ADDRFAMILY;
}

std::atomic<Resolver*> g_of_process{nullptr};

}  // namespace

struct Resolver::State {
    struct Name {
        Addresses addresses;  // empty: none was found yet
        Clock::time_point found;
        std::optional<Clock::time_point> looking_since;  // a thread has taken it up
        int error = 0;                                   // of the last lookup
        uint64_t lookups = 0;                            // that have ended
        Clock::time_point used;
    };

    State(const Limits& its_limits, Lookup its_lookup)
        : limits(its_limits), lookup(std::move(its_lookup)) {}

    // Whether no thread is left and none is going to be, as far as can be told.
    bool allStuck(Clock::time_point now) const {
        return running >= limits.threads &&
               std::all_of(names.begin(), names.end(), [&](const auto& one) {
                   const auto& since = one.second.looking_since;
                   return !since || now - *since >= limits.stuck;
               });
    }

    void forgetOne() {
        auto oldest = names.end();
        for (auto one = names.begin(); one != names.end(); ++one) {
            if (one->second.looking_since) continue;
            if (oldest == names.end() || one->second.used < oldest->second.used) oldest = one;
        }
        if (oldest != names.end()) names.erase(oldest);
    }

    const Limits limits;
    const Lookup lookup;
    std::mutex mutex;
    std::condition_variable changed;
    // The rest is guarded by mutex.
    std::map<std::string, Name> names;
    size_t running = 0;
};

Resolver::Resolver(const Limits& limits, Lookup lookup)
    : state_(std::make_shared<State>(limits, std::move(lookup))) {}

Resolver& Resolver::ofProcess() {
    static std::once_flag once;
    std::call_once(once, [] {
        g_of_process = new Resolver(Limits(), lookUp);  // never destroyed: threads may outlive main
        // The child has neither the threads nor, perhaps, a mutex that is free.
        pthread_atfork(nullptr, nullptr, [] { g_of_process = new Resolver(Limits(), lookUp); });
    });
    return *g_of_process.load();
}

namespace {

// In a thread of its own, with all that it needs.
template <typename State>
void runLookup(const std::shared_ptr<State>& state, const std::string& host) {
    Resolver::Addresses addresses;
    const int error = state->lookup(host, &addresses);
    const auto now = Resolver::Clock::now();
    std::lock_guard lock(state->mutex);
    auto& name = state->names[host];
    name.looking_since.reset();
    name.error = error;
    ++name.lookups;
    if (error == 0) {
        name.addresses = std::move(addresses);
        name.found = now;
    } else if (isAnswer(error)) {
        name.addresses.clear();
    }
    --state->running;
    state->changed.notify_all();
}

}  // namespace

Status Resolver::resolve(const std::string& host, Clock::time_point deadline,
                         Addresses* addresses) {
    sockaddr_storage literal = {};
    if (parseAddress(host, &literal)) {
        addresses->assign(1, literal);
        return Status::OK();
    }
    const auto begin = Clock::now();
    std::unique_lock lock(state_->mutex);
    const Limits& limits = state_->limits;
    if (!state_->names.contains(host) && state_->names.size() >= limits.names) {
        state_->forgetOne();
    }
    {
        State::Name& name = state_->names[host];
        name.used = begin;
        if (!name.addresses.empty() && begin - name.found < limits.fresh) {
            *addresses = name.addresses;
            return Status::OK();
        }
        if (!name.addresses.empty() && begin - name.found >= limits.stale) name.addresses.clear();
        if (!name.addresses.empty()) {
            deadline = std::min(deadline, name.looking_since.value_or(begin) + limits.patience);
        }
    }
    const uint64_t before = state_->names[host].lookups;
    std::string cause = "the name service does not answer in time";
    for (;;) {
        State::Name& name = state_->names[host];
        if (name.lookups != before) {
            if (name.error != 0 && name.addresses.empty()) {
                return Status::Dns(host + ": " + gai_strerror(name.error));
            }
            break;
        }
        const auto now = Clock::now();
        if (now >= deadline) break;
        if (!name.looking_since && state_->running < limits.threads) {
            auto started = nvmeof_generic::startThread(
                "te-resolve", [state = state_, host] { runLookup(state, host); });
            if (!started.ok()) {
                cause = started.error().message;
                break;
            }
            started.value().detach();
            name.looking_since = now;
            ++state_->running;
        }
        if (!name.looking_since && state_->allStuck(now)) {
            cause = "the name service does not answer: all lookups that may be under way are stuck";
            break;
        }
        // A lookup may become stuck while this one waits for its thread.
        state_->changed.wait_until(lock, std::min(deadline, now + limits.stuck));
    }
    const State::Name& name = state_->names[host];
    if (name.addresses.empty()) return Status::Dns(host + ": " + cause);
    if (name.lookups == before || name.error != 0) {
        LOG_EVERY_T(WARNING, 60) << host << ": "
                                 << (name.lookups != before ? std::string(gai_strerror(name.error))
                                                            : cause)
                                 << "; the address that it had is used (said once a minute)";
    }
    *addresses = name.addresses;
    return Status::OK();
}

bool parseAddress(const std::string& host, sockaddr_storage* address) {
    addrinfo hints = {};
    hints.ai_flags = AI_NUMERICHOST;  // asks nobody
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
    std::memcpy(address, found->ai_addr,
                std::min<size_t>(found->ai_addrlen, sizeof(sockaddr_storage)));
    freeaddrinfo(found);
    return true;
}

void setPort(sockaddr_storage* address, uint16_t port) {
    if (address->ss_family == AF_INET6) {
        reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
    } else {
        reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
    }
}

socklen_t sizeOf(const sockaddr_storage& address) {
    return address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

}  // namespace mooncake
