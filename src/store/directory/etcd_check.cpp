// SPDX-License-Identifier: Apache-2.0
#include "etcd_check.h"

namespace mooncake::store {

Result<std::vector<Finding>> checkEtcd(const EtcdStore& store, Deadline deadline) {
    using Severity = Finding::Severity;
    // More revisions than this since the first one are history that nobody throws away.
    constexpr int64_t kRevisions = 10000;
    std::vector<Finding> findings;
    const auto status = store.cluster->status(deadline);
    if (!status) return tl::unexpected<Error>(status.error());
    findings.push_back(
        {Severity::kNote, "etcd " + status->version() + ", " + std::to_string(status->dbsize()) +
                              " bytes of database, of which " +
                              std::to_string(status->dbsizeinuse()) + " are in use"});
    const auto alarms = store.cluster->alarms(deadline);
    if (!alarms) return tl::unexpected<Error>(alarms.error());
    for (const rpc::AlarmMember& alarm : alarms->alarms()) {
        findings.push_back(
            {Severity::kError,
             alarm.alarm() == rpc::NOSPACE
                 ? "etcd's space is used up, and it takes no entries: raise "
                   "--quota-backend-bytes or remove objects, then compact, defragment and disarm "
                   "the alarm (etcdctl compact, defrag, alarm disarm)"
                 : "etcd says that its database is corrupt; restore it, or make the directory "
                   "again from the store's files"});
    }
    rpc::RangeRequest first;
    first.set_key(store.keys.id());
    first.set_revision(2);
    first.set_count_only(true);
    const auto history = store.cluster->range(first, deadline);
    if (!history && history.error().failure == Failure::kNotFound) {
        findings.push_back({Severity::kNote, "etcd's history is compacted"});
    } else if (!history) {
        return tl::unexpected<Error>(history.error());
    } else if (history->header().revision() > kRevisions) {
        findings.push_back({Severity::kWarning,
                            "etcd keeps all " + std::to_string(history->header().revision()) +
                                " revisions since its first, which fills its space: start it with "
                                "--auto-compaction-mode=periodic --auto-compaction-retention=1h"});
    }
    return findings;
}

}  // namespace mooncake::store
