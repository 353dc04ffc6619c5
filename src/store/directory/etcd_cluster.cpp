// SPDX-License-Identifier: Apache-2.0
#include "etcd_cluster.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "etcd_address.h"

namespace mooncake::store {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How many requests are under way on one connection.
constexpr size_t kWindow = 256;
constexpr milliseconds kShort(1000);

std::string fileText(const std::string& path) {
    if (path.empty()) return "";
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// That a request was not sent, as if the server had said so.
grpc::Status statusOf(const Error& error) {
    return {error.failure == Failure::kRefused ? grpc::StatusCode::FAILED_PRECONDITION
                                               : grpc::StatusCode::UNAVAILABLE,
            error.message};
}

bool says(const grpc::Status& status, const char* text) {
    return status.error_message().find(text) != std::string::npos;
}

}  // namespace

gpr_timespec timeUntil(Deadline deadline) {
    const auto left = std::max<steady_clock::duration>(deadline - steady_clock::now(), {});
    return gpr_time_from_nanos(std::chrono::nanoseconds(left).count(), GPR_TIMESPAN);
}

Result<std::unique_ptr<EtcdCluster>> EtcdCluster::create(const std::string& servers,
                                                         milliseconds attempt, Counters* counters) {
    EtcdAccess access;
    EtcdAddress address;
    Status status = EtcdAccess::fromEnvironment(&access);
    if (status.ok()) status = parseEtcdAddress(servers, access, &address);
    if (!status.ok()) return failed(Failure::kInvalid, std::string(status.message()));

    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (address.tls) {
        grpc::SslCredentialsOptions options;
        options.pem_root_certs = fileText(access.tls.ca);
        options.pem_cert_chain = fileText(access.tls.cert);
        options.pem_private_key = fileText(access.tls.key);
        credentials = grpc::SslCredentials(options);
    }
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    // A watch is silent for long: this finds out whether its server is still there. etcd takes no
    // less than 5 s.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    std::unique_ptr<EtcdCluster> cluster(new EtcdCluster(std::move(access), attempt, counters));
    for (const StoreEndpoint& endpoint : address.endpoints) {
        const auto channel =
            grpc::CreateCustomChannel("dns:///" + endpoint.text(), credentials, arguments);
        cluster->servers_.push_back({endpoint.text(), rpc::KV::NewStub(channel),
                                     rpc::Lease::NewStub(channel), rpc::Watch::NewStub(channel),
                                     rpc::Maintenance::NewStub(channel),
                                     rpc::Auth::NewStub(channel)});
    }
    return cluster;
}

void EtcdCluster::moveOn(size_t server) {
    if (servers_.size() == 1) return;
    if (preferred_.compare_exchange_strong(server, (server + 1) % servers_.size(),
                                           std::memory_order_relaxed)) {
        counters_->add(&DirectoryStatistics::failovers);
    }
}

// A try that waits for a connection is not to keep others waiting that may have one.
Deadline EtcdCluster::attemptEnd(Deadline deadline, bool again) const {
    const bool short_one = again && servers_.size() > 1;
    return std::min(deadline,
                    steady_clock::now() + (short_one ? std::min(attempt_, kShort) : attempt_));
}

EtcdCluster::Next EtcdCluster::judge(const grpc::Status& status) const {
    switch (status.error_code()) {
        case grpc::StatusCode::UNAVAILABLE:
        case grpc::StatusCode::DEADLINE_EXCEEDED:
        case grpc::StatusCode::CANCELLED:
        case grpc::StatusCode::ABORTED:
            return Next::kMoveOn;
        case grpc::StatusCode::UNKNOWN:
            // What a server says that is about to stop, or has lost its leader.
            return says(status, "etcdserver:") ? Next::kMoveOn : Next::kFail;
        case grpc::StatusCode::UNAUTHENTICATED:
            return access_.user.empty() ? Next::kFail : Next::kLogIn;
        case grpc::StatusCode::INVALID_ARGUMENT:
            return says(status, "revision of auth store is old") ? Next::kLogIn : Next::kFail;
        case grpc::StatusCode::RESOURCE_EXHAUSTED:
            return says(status, "too many requests") ? Next::kRepeat : Next::kFail;
        default:
            return Next::kFail;
    }
}

Error EtcdCluster::errorOf(const grpc::Status& status, const std::string& server) const {
    const auto error = [&](Failure failure, const std::string& remedy) {
        return Error{failure, "the directory on etcd (" + server + ") does not work: " +
                                  status.error_message().substr(0, 500) + remedy};
    };
    if (says(status, "database space exceeded")) {
        return error(Failure::kFull,
                     "; raise --quota-backend-bytes or remove objects, then compact, defragment "
                     "and disarm the alarm (etcdctl compact, defrag, alarm disarm)");
    }
    if (says(status, "lease not found")) {
        return error(Failure::kLeaseLost, "; join again");
    }
    if (says(status, "user name is empty")) {
        return error(Failure::kRefused,
                     "; it asks for a login, set MC_ETCD_USERNAME and MC_ETCD_PASSWORD");
    }
    if (says(status, "too many operations in txn")) {
        return error(Failure::kUnsupported, "; start it with --max-txn-ops=128 or more");
    }
    if (says(status, "request is too large") || says(status, "larger than max")) {
        return error(Failure::kInvalid, "; raise its --max-request-bytes");
    }
    switch (status.error_code()) {
        case grpc::StatusCode::PERMISSION_DENIED:
            return error(Failure::kRefused,
                         "; grant the user's role to read and write the keys that begin with "
                         "mooncake_store/");
        case grpc::StatusCode::UNAUTHENTICATED:
        case grpc::StatusCode::INVALID_ARGUMENT:
        case grpc::StatusCode::FAILED_PRECONDITION:
            return error(Failure::kRefused, "");
        case grpc::StatusCode::OUT_OF_RANGE:
            return error(Failure::kNotFound, "");
        case grpc::StatusCode::DEADLINE_EXCEEDED:
        case grpc::StatusCode::CANCELLED:
            return error(Failure::kTimeout, "; it did not answer in time");
        case grpc::StatusCode::UNAVAILABLE:
            return error(Failure::kUnavailable, "; is it running, and can this node reach it?");
        default:
            return error(Failure::kInternal, "");
    }
}

Result<> EtcdCluster::authorize(grpc::ClientContext* context, size_t server, Deadline deadline) {
    context->set_deadline(timeUntil(deadline));
    if (access_.user.empty()) return {};
    std::string token;
    {
        const std::lock_guard lock(mutex_);
        token = token_;
    }
    if (token.empty()) {
        grpc::ClientContext own;
        own.set_deadline(timeUntil(deadline));
        own.set_wait_for_ready(true);
        rpc::AuthenticateRequest request;
        request.set_name(std::string(access_.user.view()));
        request.set_password(std::string(access_.password.view()));
        rpc::AuthenticateResponse response;
        counters_->add(&DirectoryStatistics::round_trips);
        const auto status = servers_[server].auth->Authenticate(&own, request, &response);
        explicit_bzero(request.mutable_password()->data(), request.password().size());
        // Nobody has to log in yet.
        if (!status.ok() && says(status, "authentication is not enabled")) return {};
        if (!status.ok()) {
            return tl::unexpected<Error>(errorOf(status, servers_[server].name));
        }
        token = response.token();
        const std::lock_guard lock(mutex_);
        token_ = token;
    }
    context->AddMetadata("token", token);
    return {};
}

template <class Attempt>
Result<> EtcdCluster::untilDone(Deadline deadline, const Attempt& attempt) {
    milliseconds pause(10);
    int logins = 0;
    grpc::Status cause;
    for (bool again = false;; again = true) {
        const size_t server = preferred();
        if (again) counters_->add(&DirectoryStatistics::repeats);
        const grpc::Status status = attempt(server, again);
        if (status.ok()) return {};
        // That the time is up says less than what has used it.
        if (cause.ok() || status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) {
            cause = status;
        }
        const Next next = judge(status);
        const bool over = steady_clock::now() + pause >= deadline;
        if (next == Next::kFail || over || (next == Next::kLogIn && ++logins > 3)) {
            if (over) counters_->add(&DirectoryStatistics::timeouts);
            return tl::unexpected<Error>(errorOf(cause, servers_[server].name));
        }
        if (next == Next::kLogIn) {
            const std::lock_guard lock(mutex_);
            token_.clear();
            continue;
        }
        if (next == Next::kMoveOn) moveOn(server);
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, milliseconds(200));
    }
}

Result<std::vector<rpc::TxnResponse>> EtcdCluster::transact(
    const std::vector<rpc::TxnRequest>& requests, Deadline deadline) {
    std::vector<rpc::TxnResponse> responses(requests.size());
    std::vector<const rpc::TxnRequest*> asked;
    std::vector<rpc::TxnResponse*> answers;
    for (size_t i = 0; i < requests.size(); ++i) {
        asked.push_back(&requests[i]);
        answers.push_back(&responses[i]);
    }
    if (auto done = transact(asked, answers, deadline); !done) {
        return tl::unexpected<Error>(done.error());
    }
    return responses;
}

Result<> EtcdCluster::transact(const std::vector<const rpc::TxnRequest*>& requests,
                               const std::vector<rpc::TxnResponse*>& responses, Deadline deadline) {
    std::vector<size_t> left(requests.size());
    for (size_t i = 0; i < left.size(); ++i) left[i] = requests.size() - 1 - i;

    struct Call {
        size_t index;
        grpc::ClientContext context;
        grpc::Status status;
        std::unique_ptr<grpc::ClientAsyncResponseReader<rpc::TxnResponse>> reader;
    };
    const auto wave = [&](size_t server, bool again) -> grpc::Status {
        const Deadline end = attemptEnd(deadline, again);
        grpc::CompletionQueue queue;
        std::vector<std::unique_ptr<Call>> calls;
        grpc::Status worst;
        while (!left.empty() && calls.size() < kWindow) {
            auto call = std::make_unique<Call>();
            // A connection is made while somebody waits for it, and at no other time.
            call->context.set_wait_for_ready(again);
            if (auto allowed = authorize(&call->context, server, end); !allowed) {
                worst = statusOf(allowed.error());
                break;
            }
            call->index = left.back();
            left.pop_back();
            call->reader =
                servers_[server].kv->AsyncTxn(&call->context, *requests[call->index], &queue);
            call->reader->Finish(responses[call->index], &call->status, call.get());
            calls.push_back(std::move(call));
        }
        counters_->add(&DirectoryStatistics::round_trips, calls.size());
        void* tag = nullptr;
        bool ok = false;
        for (size_t i = 0; i < calls.size(); ++i) queue.Next(&tag, &ok);
        queue.Shutdown();
        while (queue.Next(&tag, &ok)) {
        }
        for (const auto& call : calls) {
            if (call->status.ok()) continue;
            left.push_back(call->index);
            responses[call->index]->Clear();
            // What cannot be mended is told first.
            if (worst.ok() || judge(call->status) == Next::kFail) worst = call->status;
        }
        return worst;
    };
    while (!left.empty()) {
        if (auto done = untilDone(deadline, wave); !done) return done;
    }
    return {};
}

Result<rpc::TxnResponse> EtcdCluster::transact(const rpc::TxnRequest& request, Deadline deadline) {
    auto responses = transact(std::vector<rpc::TxnRequest>{request}, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    return std::move(responses->front());
}

template <class Call>
Result<> EtcdCluster::callUntilDone(Deadline deadline, const Call& call) {
    return untilDone(deadline, [&](size_t server, bool again) -> grpc::Status {
        grpc::ClientContext context;
        context.set_wait_for_ready(again);
        if (auto allowed = authorize(&context, server, attemptEnd(deadline, again)); !allowed) {
            return statusOf(allowed.error());
        }
        counters_->add(&DirectoryStatistics::round_trips);
        return call(server, &context);
    });
}

Result<rpc::RangeResponse> EtcdCluster::range(const rpc::RangeRequest& request, Deadline deadline) {
    rpc::RangeResponse response;
    const auto done =
        callUntilDone(deadline, [&](size_t server, grpc::ClientContext* context) -> grpc::Status {
            response.Clear();
            return servers_[server].kv->Range(context, request, &response);
        });
    if (!done) return tl::unexpected<Error>(done.error());
    return response;
}

Result<int64_t> EtcdCluster::grantLease(int64_t id, int64_t seconds, Deadline deadline) {
    rpc::LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(seconds);
    rpc::LeaseGrantResponse response;
    const auto done =
        callUntilDone(deadline, [&](size_t server, grpc::ClientContext* context) -> grpc::Status {
            const auto status = servers_[server].lease->LeaseGrant(context, request, &response);
            if (says(status, "lease already exists")) {
                response.set_ttl(seconds);
                return grpc::Status::OK;
            }
            return status;
        });
    if (!done) return tl::unexpected<Error>(done.error());
    return response.ttl();
}

Result<> EtcdCluster::revokeLease(int64_t id, Deadline deadline) {
    rpc::LeaseRevokeRequest request;
    request.set_id(id);
    return callUntilDone(
        deadline, [&](size_t server, grpc::ClientContext* context) -> grpc::Status {
            rpc::LeaseRevokeResponse response;
            const auto status = servers_[server].lease->LeaseRevoke(context, request, &response);
            return says(status, "lease not found") ? grpc::Status::OK : status;
        });
}

Result<int64_t> EtcdCluster::keepAlive(int64_t id, Deadline deadline) {
    rpc::LeaseKeepAliveRequest request;
    request.set_id(id);
    rpc::LeaseKeepAliveResponse response;
    const auto done =
        callUntilDone(deadline, [&](size_t server, grpc::ClientContext* context) -> grpc::Status {
            const auto stream = servers_[server].lease->LeaseKeepAlive(context);
            response.Clear();
            const bool answered = stream->Write(request) && stream->Read(&response);
            stream->WritesDone();
            if (!answered) {
                const auto status = stream->Finish();
                return status.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE,
                                                  "the lease's stream has ended")
                                   : status;
            }
            context->TryCancel();
            (void)stream->Finish();
            return grpc::Status::OK;
        });
    if (!done) return tl::unexpected<Error>(done.error());
    return response.ttl();
}

Result<rpc::StatusResponse> EtcdCluster::status(Deadline deadline) {
    rpc::StatusResponse response;
    const auto done =
        callUntilDone(deadline, [&](size_t server, grpc::ClientContext* context) -> grpc::Status {
            return servers_[server].maintenance->Status(context, rpc::StatusRequest(), &response);
        });
    if (!done) return tl::unexpected<Error>(done.error());
    return response;
}

Result<rpc::AlarmResponse> EtcdCluster::alarms(Deadline deadline) {
    rpc::AlarmResponse response;
    const auto done =
        callUntilDone(deadline, [&](size_t server, grpc::ClientContext* context) -> grpc::Status {
            return servers_[server].maintenance->Alarm(context, rpc::AlarmRequest(), &response);
        });
    if (!done) return tl::unexpected<Error>(done.error());
    return response;
}

}  // namespace mooncake::store
