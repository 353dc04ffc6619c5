// SPDX-License-Identifier: Apache-2.0
#include "clients.h"

#include <algorithm>
#include <utility>

namespace mooncake {

using Clock = std::chrono::steady_clock;

// With mutex_ held. Its thread still has it until it leaves.
void Clients::cut(Client* client) {
    client->cut = true;
    shutdown(client->fd, SHUT_RDWR);
}

Clients::Id Clients::enter(int fd, const sockaddr_storage& peer) {
    const PeerKey key = peerKeyOf(peer);
    std::unique_lock lock(mutex_);
    const Id id = next_id_++;
    ++counts_.accepted;
    while (!closed_) {
        const ConnectionCrowd::Place place = crowd_.placeFor(key);
        if (place.free) break;
        const auto now = Clock::now();
        if (place.from > now) {
            changed_.wait_until(lock, place.from);
            continue;
        }
        ++counts_.crowded_out;
        cut(&clients_[place.victim]);
        crowd_.remove(place.victim);  // its thread ends soon
    }
    Client& client = clients_[id];
    client.fd = fd;
    crowd_.add(id, key, Clock::now());
    if (closed_) cut(&client);
    return id;
}

void Clients::leave(Id id) {
    release(id);
    std::lock_guard lock(mutex_);
    crowd_.remove(id);
    clients_.erase(id);
    changed_.notify_all();
}

void Clients::move(Id id, Stage stage) {
    std::lock_guard lock(mutex_);
    Client& client = clients_[id];
    client.stage = stage;
    crowd_.move(id, stage, Clock::now());
    if (closed_ && stage != Stage::kAnswered) cut(&client);
    changed_.notify_all();
}

bool Clients::areFew() const {
    std::lock_guard lock(mutex_);
    return crowd_.isSmall();
}

bool Clients::grow(Id id, size_t bytes) {
    std::lock_guard lock(mutex_);
    Client& own = clients_[id];
    own.pending += bytes;
    counts_.pending_bytes += bytes;
    if (counts_.pending_bytes <= pending_limit_) return !own.cut;
    const auto greediest = std::max_element(
        clients_.begin(), clients_.end(),
        [](const auto& a, const auto& b) { return a.second.pending < b.second.pending; });
    Client& chosen = greediest->second;
    ++counts_.too_greedy;
    cut(&chosen);
    // It gives back what it has when its thread ends, which is soon.
    counts_.pending_bytes -= std::exchange(chosen.pending, 0);
    return !own.cut;
}

void Clients::release(Id id) {
    std::lock_guard lock(mutex_);
    counts_.pending_bytes -= std::exchange(clients_[id].pending, 0);
}

void Clients::close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& [id, client] : clients_) {
        if (client.stage != Stage::kAnswered) cut(&client);
    }
    changed_.notify_all();
}

Clients::Counts Clients::counts() const {
    std::lock_guard lock(mutex_);
    Counts counts = counts_;
    counts.connections = crowd_.size();
    return counts;
}

}  // namespace mooncake
