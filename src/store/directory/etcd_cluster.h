// SPDX-License-Identifier: Apache-2.0
// The servers of an etcd: one is asked until it does not answer, then the next. Every request here
// may be repeated without harm, and is, until the deadline.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "counters.h"
#include "directory_types.h"
#include "error.h"
#include "etcd_access.h"
#include "etcd_rpc.grpc.pb.h"

namespace mooncake::store {

namespace rpc = ::etcdserverpb;

// For gRPC: a span, so that it does not matter who sets the wall clock.
gpr_timespec timeUntil(Deadline deadline);

class EtcdCluster {
 public:
    // @param servers  as the metadata service takes them; login and certificates are those of
    //     MC_ETCD_*
    // @param attempt  how long one server is waited for
    static Result<std::unique_ptr<EtcdCluster>> create(const std::string& servers,
                                                       std::chrono::milliseconds attempt,
                                                       Counters* counters);

    Result<rpc::RangeResponse> range(const rpc::RangeRequest& request, Deadline deadline);
    Result<rpc::TxnResponse> transact(const rpc::TxnRequest& request, Deadline deadline);
    // All at once; the answers are in the order of the requests, which may be carried out in any.
    Result<std::vector<rpc::TxnResponse>> transact(const std::vector<rpc::TxnRequest>& requests,
                                                   Deadline deadline);
    // The same, with answers of the caller's, one for each request, which may lie in an arena.
    Result<> transact(const std::vector<const rpc::TxnRequest*>& requests,
                      const std::vector<rpc::TxnResponse*>& responses, Deadline deadline);
    // A lease that is there already is one that an earlier try has made.
    Result<int64_t> grantLease(int64_t id, int64_t seconds, Deadline deadline);
    Result<> revokeLease(int64_t id, Deadline deadline);
    // @return seconds that it lives on
    Result<int64_t> keepAlive(int64_t id, Deadline deadline);
    Result<rpc::StatusResponse> status(Deadline deadline);
    Result<rpc::AlarmResponse> alarms(Deadline deadline);

    // For a stream of the caller's.
    rpc::Watch::Stub* watchStub(size_t server) { return servers_[server].watch.get(); }
    size_t preferred() const { return preferred_.load(std::memory_order_relaxed); }
    // That server does not answer.
    void moveOn(size_t server);
    Result<> authorize(grpc::ClientContext* context, size_t server, Deadline deadline);

 private:
    struct Server {
        std::string name;
        std::unique_ptr<rpc::KV::Stub> kv;
        std::unique_ptr<rpc::Lease::Stub> lease;
        std::unique_ptr<rpc::Watch::Stub> watch;
        std::unique_ptr<rpc::Maintenance::Stub> maintenance;
        std::unique_ptr<rpc::Auth::Stub> auth;
    };
    // What is to be done after an answer that is none.
    enum class Next { kFail, kRepeat, kMoveOn, kLogIn };

    EtcdCluster(EtcdAccess access, std::chrono::milliseconds attempt, Counters* counters)
        : access_(std::move(access)), attempt_(attempt), counters_(counters) {}

    Next judge(const grpc::Status& status) const;
    Error errorOf(const grpc::Status& status, const std::string& server) const;
    Deadline attemptEnd(Deadline deadline, bool again) const;
    // Tries until the deadline. `attempt(server, again)` makes one try and gives what came of it.
    template <class Attempt>
    Result<> untilDone(Deadline deadline, const Attempt& attempt);
    template <class Call>
    Result<> callUntilDone(Deadline deadline, const Call& call);

    const EtcdAccess access_;
    const std::chrono::milliseconds attempt_;
    Counters* const counters_;
    std::vector<Server> servers_;
    // Relaxed: a hint, any value is right.
    std::atomic<size_t> preferred_{0};
    std::mutex mutex_;
    std::string token_;  // guarded by mutex_; empty: to be asked for
};

}  // namespace mooncake::store
