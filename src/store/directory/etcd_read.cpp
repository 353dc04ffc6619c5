// SPDX-License-Identifier: Apache-2.0
#include "etcd_read.h"

namespace mooncake::store {

Result<> readKeys(const EtcdStore& store, const std::vector<std::string>& keys, EtcdWant want,
                  const std::function<void(size_t at, const rpc::RangeResponse& answer)>& found,
                  Deadline deadline) {
    std::vector<rpc::TxnRequest> requests((keys.size() + kEtcdOperations - 1) / kEtcdOperations);
    for (size_t i = 0; i < keys.size(); ++i) {
        addGet(&requests[i / kEtcdOperations], keys[i])->set_count_only(want == EtcdWant::kCount);
    }
    const auto responses = store.cluster->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    for (size_t i = 0; i < keys.size(); ++i) {
        const rpc::RangeResponse& answer = (*responses)[i / kEtcdOperations]
                                               .responses(static_cast<int>(i % kEtcdOperations))
                                               .response_range();
        if (answer.count() != 0) found(i, answer);
    }
    return {};
}

}  // namespace mooncake::store
