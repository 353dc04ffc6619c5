// SPDX-License-Identifier: Apache-2.0
#include "etcd_read.h"

#include <google/protobuf/arena.h>

#include <algorithm>

#include "key_order.h"

namespace mooncake::store {

Result<> readKeys(const EtcdStore& store, const std::vector<std::string>& keys, EtcdWant want,
                  const std::function<void(size_t at, const rpc::RangeResponse& answer)>& found,
                  Deadline deadline) {
    // Neighbours in etcd's index cost it half as much. (Transactions within transactions would make
    // for fewer requests, but etcd takes those for writes and puts them into its log.)
    const std::vector<size_t> order = orderOf(keys);
    // Of the time that this process takes for it, most went into making and freeing messages.
    google::protobuf::Arena arena;
    std::vector<const rpc::TxnRequest*> requests;
    std::vector<rpc::TxnResponse*> responses;
    for (size_t i = 0; i < order.size();) {
        auto* request = google::protobuf::Arena::CreateMessage<rpc::TxnRequest>(&arena);
        for (const size_t end = std::min(i + kEtcdOperations, order.size()); i < end; ++i) {
            addGet(request, keys[order[i]])->set_count_only(want == EtcdWant::kCount);
        }
        requests.push_back(request);
        responses.push_back(google::protobuf::Arena::CreateMessage<rpc::TxnResponse>(&arena));
    }
    if (auto done = store.cluster->transact(requests, responses, deadline); !done) return done;
    auto at = order.begin();
    for (const rpc::TxnResponse* response : responses) {
        for (const rpc::ResponseOp& one : response->responses()) {
            const rpc::RangeResponse& answer = one.response_range();
            if (answer.count() != 0) found(*at, answer);
            ++at;
        }
    }
    return {};
}

}  // namespace mooncake::store
