// SPDX-License-Identifier: Apache-2.0
#include "etcd_server.h"

#include <grpcpp/grpcpp.h>

#include "etcd_rpc.grpc.pb.h"
#include "figures.h"
#include "pool.h"

namespace mooncake::store_bench {

namespace rpc = ::etcdserverpb;

namespace {

void require(const grpc::Status& status, const char* what) {
    if (!status.ok()) fail(std::string("etcd: ") + what + ": " + status.error_message());
}

}  // namespace

struct EtcdServer::Stubs {
    std::unique_ptr<rpc::KV::Stub> kv;
    std::unique_ptr<rpc::Maintenance::Stub> maintenance;
};

EtcdServer::EtcdServer(const std::string& address) : stubs_(std::make_unique<Stubs>()) {
    const auto channel = grpc::CreateChannel(address.substr(address.find("://") + 3),
                                             grpc::InsecureChannelCredentials());
    stubs_->kv = rpc::KV::NewStub(channel);
    stubs_->maintenance = rpc::Maintenance::NewStub(channel);
    putKeys(0, 1);
}

EtcdServer::~EtcdServer() = default;

void EtcdServer::putKeys(uint64_t first, size_t count) {
    rpc::TxnRequest request;
    for (size_t i = 0; i < count; ++i) {
        rpc::PutRequest* const put = request.add_success()->mutable_request_put();
        put->set_key(keyOf(first + i));
        put->set_value(std::string(50, 'v'));
    }
    grpc::ClientContext context;
    rpc::TxnResponse response;
    require(stubs_->kv->Txn(&context, request, &response), "a transaction");
    revision_ = response.header().revision();
}

uint64_t EtcdServer::bytesAfterCompaction() {
    putKeys(0, 1);  // tells the revision
    {
        rpc::CompactionRequest request;
        request.set_revision(revision_);
        request.set_physical(true);
        grpc::ClientContext context;
        rpc::CompactionResponse response;
        require(stubs_->kv->Compact(&context, request, &response), "compaction");
    }
    {
        grpc::ClientContext context;
        rpc::DefragmentResponse response;
        require(stubs_->maintenance->Defragment(&context, {}, &response), "defragmentation");
    }
    grpc::ClientContext context;
    rpc::StatusResponse response;
    require(stubs_->maintenance->Status(&context, {}, &response), "status");
    return static_cast<uint64_t>(response.dbsize());
}

}  // namespace mooncake::store_bench
