// SPDX-License-Identifier: Apache-2.0
#include "write_guards.h"

#include <pthread.h>

#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

struct Held;
using Guards = std::map<SharedNamespace::Key, std::weak_ptr<Held>>;

// Neither has a destructor: engines may be static objects, and this library may be unloaded. The
// map is there as long as a guard is.
constinit std::mutex mutex;
constinit Guards* guards = nullptr;

// In a forked child a thread of the parent may have been at work on both. Guards that the child has
// inherited guard nothing that it writes to.
[[maybe_unused]] const int forkHandled = pthread_atfork(nullptr, nullptr, [] {
    new (&mutex) std::mutex;
    guards = nullptr;
});

/// A guard, and its place in the map.
struct Held {
    explicit Held(SharedNamespace::Key of) : key(std::move(of)), guard(makeWriteGuard()) {}
    ~Held() {
        std::lock_guard lock(mutex);
        if (guards == nullptr) return;
        // Another one may have come since.
        const auto found = guards->find(key);
        if (found != guards->end() && found->second.expired()) guards->erase(found);
        if (guards->empty()) delete std::exchange(guards, nullptr);
    }
    const SharedNamespace::Key key;
    const std::shared_ptr<io::WriteGuard> guard;
};

}  // namespace

std::shared_ptr<io::WriteGuard> writeGuardOf(const SharedNamespace::Key& key) {
    std::shared_ptr<Held> held;
    {
        std::lock_guard lock(mutex);
        if (guards == nullptr) guards = new Guards;
        std::weak_ptr<Held>& place = (*guards)[key];
        held = place.lock();
        if (!held) {
            held = std::make_shared<Held>(key);
            place = held;
        }
    }
    return {held, held->guard.get()};
}

}  // namespace mooncake::nvmeof_generic
