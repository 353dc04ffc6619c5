// SPDX-License-Identifier: Apache-2.0
// A transport plugin for tests, built several times: once as it should be, and once for each way to
// be wrong.
#include <cstring>
#include <vector>

#include "fixture_control.h"
#include "transport/transport_plugin.h"

#ifdef FIXTURE_FOREIGN_SYMBOL
namespace mooncake {
// As only another engine has it.
Transport* onlyElsewhere();
}  // namespace mooncake
#endif

namespace mooncake::test {
namespace {

// Serves files without any device: transfers end at once, or when the transport is destroyed.
class FixtureTransport : public Transport {
 public:
    ~FixtureTransport() override {
        for (Slice* slice : held_) slice->markFailed();
        if (metadata_) metadata_->removeSegmentDesc(local_server_name_);
        control_->on_destroy();
        ++control_->destroyed;
    }

    Status submitTransfer(BatchID, const std::vector<TransferRequest>&) override {
        return Status::NotImplemented("the engine does not call this");
    }

    Status submitTransferTask(const std::vector<TransferTask*>& tasks) override {
        for (TransferTask* task : tasks) {
            {
                std::lock_guard lock(control_->mutex);
                control_->requests.push_back(*task->request);
            }
            Slice* slice = getSliceCache().allocate();
            slice->length = task->request->length;
            slice->task = task;
            task->slice_list.push_back(slice);
            task->slice_count = 1;
            if (control_->complete_at_once) {
                slice->markSuccess();
            } else {
                std::lock_guard lock(mutex_);
                held_.push_back(slice);
            }
        }
        return Status::OK();
    }

    Status getTransferStatus(BatchID, size_t, TransferStatus&) override {
        return Status::NotImplemented("the engine does not call this");
    }

 protected:
    int installWithArgs(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                        void** args) override {
        if (args != nullptr) control_ = static_cast<FixtureControl*>(args[0]);
        if (control_->install_result != 0) return control_->install_result;
        Transport::installWithArgs(local_server_name, meta, args);
        auto desc = std::make_shared<SegmentDesc>();
        desc->name = local_server_name_;
        desc->protocol = FIXTURE_PROTOCOL;
        const int rc =
            metadata_->addLocalSegment(LOCAL_SEGMENT_ID, local_server_name_, std::move(desc));
        return rc != 0 ? rc : metadata_->updateLocalSegmentDesc();
    }

 private:
    int registerLocalMemory(void* addr, size_t, const std::string&, bool, bool) override {
        std::lock_guard lock(control_->mutex);
        if (control_->memory_result == 0) control_->memory.insert(addr);
        return control_->memory_result;
    }
    int unregisterLocalMemory(void* addr, bool) override {
        std::lock_guard lock(control_->mutex);
        if (control_->memory_result == 0) control_->memory.erase(addr);
        return control_->memory_result;
    }
    int registerLocalMemoryBatch(const std::vector<BufferEntry>& buffers,
                                 const std::string&) override {
        std::lock_guard lock(control_->mutex);
        for (const auto& buffer : buffers) control_->memory.insert(buffer.addr);
        return control_->memory_result;
    }
    int unregisterLocalMemoryBatch(const std::vector<void*>& addresses) override {
        std::lock_guard lock(control_->mutex);
        for (void* addr : addresses) control_->memory.erase(addr);
        return control_->memory_result;
    }

    bool supportFileBuffer() override { return true; }
    int registerLocalFile(FileBufferID id, const std::string& path, size_t size) override {
        control_->on_register();
        if (control_->register_result != 0) return control_->register_result;
        const int rc = metadata_->addFileBuffer({id, path, size, 0}, true);
        if (rc != 0) return rc;
        std::lock_guard lock(control_->mutex);
        control_->files.insert(id);
        return 0;
    }
    int unregisterLocalFile(FileBufferID id) override {
        if (control_->unregister_result != 0) return control_->unregister_result;
        const int rc = metadata_->removeFileBuffer(id, true);
        if (rc != 0) return rc;
        std::lock_guard lock(control_->mutex);
        control_->files.erase(id);
        return 0;
    }
    const char* getName() const override { return FIXTURE_PROTOCOL; }

    FixtureControl own_control_;
    FixtureControl* control_ = &own_control_;
    std::mutex mutex_;
    std::vector<Slice*> held_;
};

Transport* create() {
#ifdef FIXTURE_CREATE_FAILS
    return nullptr;
#elif defined(FIXTURE_FOREIGN_SYMBOL)
    return onlyElsewhere();
#else
    return new FixtureTransport();
#endif
}

void destroy(Transport* transport) {
    delete transport;
}

constexpr TransportPlugin description() {
    TransportPlugin plugin{};
    plugin.magic = kTransportPluginMagic;
    plugin.abi_major = kTransportPluginAbiMajor;
    plugin.abi_minor = kTransportPluginAbiMinor;
    plugin.plugin_name = FIXTURE_PROTOCOL;
    plugin.plugin_version = "1.2.3";
    plugin.engine_fingerprint = transport_plugin_detail::kFingerprint.text;
    plugin.create = create;
    plugin.destroy = destroy;
#ifdef FIXTURE_WRONG_MAGIC
    plugin.magic = 0x1234;
#endif
#ifdef FIXTURE_WRONG_MAJOR
    plugin.abi_major = kTransportPluginAbiMajor + 6;
#endif
#ifdef FIXTURE_NEWER_MINOR
    plugin.abi_minor = kTransportPluginAbiMinor + 1;
#endif
#ifdef FIXTURE_WRONG_FINGERPRINT
    plugin.engine_fingerprint = "another engine";
#endif
#ifdef FIXTURE_NO_FINGERPRINT
    plugin.engine_fingerprint = nullptr;
#endif
#ifdef FIXTURE_NO_CREATE
    plugin.create = nullptr;
#endif
#ifdef FIXTURE_NO_DESTROY
    plugin.destroy = nullptr;
#endif
#ifdef FIXTURE_NO_NAME
    plugin.plugin_name = nullptr;
#endif
#ifdef FIXTURE_NO_VERSION
    plugin.plugin_version = nullptr;
#endif
#ifdef FIXTURE_WRONG_NAME
    plugin.plugin_name = "something_else";
#endif
    return plugin;
}

const TransportPlugin kDescription = description();

}  // namespace
}  // namespace mooncake::test

#ifndef FIXTURE_NO_SYMBOL
extern "C" __attribute__((visibility("default"))) const mooncake::TransportPlugin*
mooncake_transport_plugin() {
#ifdef FIXTURE_NO_DESCRIPTION
    return nullptr;
#else
    return &mooncake::test::kDescription;
#endif
}
#endif
