// SPDX-License-Identifier: Apache-2.0
#include "transfer_engine_c.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "inherited.h"
#include "transfer_engine.h"

using mooncake::Status;
using mooncake::TransferEngine;

namespace {

void logFailure(const char* cause) noexcept {
    try {
        LOG(ERROR) << "A call to the engine failed: " << cause;
    } catch (...) {
        // There is no memory for a line either.
    }
}

// No exception may reach a C caller: on any, and for a null engine, `failure` is what the function
// returns.
template <typename Result, typename Call>
Result guarded(transfer_engine_t engine, Result failure, const Call& call) {
    if (engine == nullptr) {
        logFailure("the engine is null");
        return failure;
    }
    try {
        return static_cast<Result>(call(*static_cast<TransferEngine*>(engine)));
    } catch (const std::exception& e) {
        logFailure(e.what());
        return failure;
    }
}

// The same for functions that return 0 or an error. ERR_INVALID_ARGUMENT promises of some that
// nothing has happened, which nobody knows after an exception.
template <typename Call>
int guarded(transfer_engine_t engine, const Call& call) {
    return guarded(engine, ERR_INVALID_ARGUMENT, [&call](TransferEngine& native) {
        try {
            return static_cast<int>(call(native));
        } catch (const std::bad_alloc& e) {
            logFailure(e.what());
            return ERR_MEMORY;
        } catch (const std::exception& e) {
            logFailure(e.what());
            return ERR_CONTEXT;
        }
    });
}

int toError(const Status& status) {
    if (status.ok()) return 0;
    if (status.message() == mooncake::kInheritedEngine) {
        mooncake::sayInherited("The call is refused");
    } else if (!status.IsBatchBusy()) {  // no error: who frees a batch may ask until it has ended
        LOG(ERROR) << status;
    }
    // The two sets of numbers differ in one value and in the sign.
    return status.IsNotImplemented() ? ERR_NOT_IMPLEMENTED : -static_cast<int>(status.code());
}

std::string text(const char* string) {
    return string == nullptr ? "" : string;
}

}  // namespace

transfer_engine_t createTransferEngine(const char* metadata_conn_string,
                                       const char* local_server_name, const char* ip_or_host_name,
                                       uint64_t rpc_port, int auto_discover) {
    try {
        auto engine = std::make_unique<TransferEngine>(auto_discover != 0);
        const int rc = engine->init(text(metadata_conn_string), text(local_server_name),
                                    text(ip_or_host_name), rpc_port);
        return rc == 0 ? engine.release() : nullptr;
    } catch (const std::exception& e) {
        LOG(ERROR) << "No engine: " << e.what();
        return nullptr;
    }
}

void destroyTransferEngine(transfer_engine_t engine) {
    delete static_cast<TransferEngine*>(engine);
}

int getLocalIpAndPort(transfer_engine_t engine, char* buf_out, size_t buf_len) {
    return guarded(engine, [&](TransferEngine& native) {
        const std::string name = native.getLocalIpAndPort();
        if (buf_out == nullptr || name.empty() || name.size() >= buf_len) {
            return ERR_INVALID_ARGUMENT;
        }
        std::memcpy(buf_out, name.c_str(), name.size() + 1);
        return 0;
    });
}

transport_t installTransport(transfer_engine_t engine, const char* proto, void** args) {
    return guarded(engine, transport_t{nullptr}, [&](TransferEngine& native) {
        return native.installTransport(text(proto), args);
    });
}

int uninstallTransport(transfer_engine_t engine, const char* proto) {
    return guarded(engine,
                   [&](TransferEngine& native) { return native.uninstallTransport(text(proto)); });
}

segment_id_t openSegment(transfer_engine_t engine, const char* segment_name) {
    return guarded(engine, segment_id_t{-1},
                   [&](TransferEngine& native) { return native.openSegment(text(segment_name)); });
}

segment_id_t openSegmentNoCache(transfer_engine_t engine, const char* segment_name) {
    return guarded(engine, segment_id_t{-1}, [&](TransferEngine& native) -> segment_id_t {
        const std::string name = text(segment_name);
        if (native.syncSegmentCache(name) != 0) return -1;
        return static_cast<segment_id_t>(native.openSegment(name));
    });
}

int closeSegment(transfer_engine_t engine, segment_id_t segment_id) {
    return guarded(engine, [&](TransferEngine& native) {
        return native.closeSegment(static_cast<mooncake::SegmentHandle>(segment_id));
    });
}

int removeLocalSegment(transfer_engine_t engine, const char* segment_name) {
    return guarded(engine, [&](TransferEngine& native) {
        return native.removeLocalSegment(text(segment_name));
    });
}

int registerLocalMemory(transfer_engine_t engine, void* addr, size_t length, const char* location,
                        int remote_accessible) {
    return guarded(engine, [&](TransferEngine& native) {
        return native.registerLocalMemory(
            addr, length, location == nullptr ? mooncake::kWildcardLocation : location,
            remote_accessible != 0);
    });
}

int unregisterLocalMemory(transfer_engine_t engine, void* addr) {
    return guarded(engine,
                   [&](TransferEngine& native) { return native.unregisterLocalMemory(addr); });
}

int registerLocalMemoryBatch(transfer_engine_t engine, buffer_entry_t* buffer_list,
                             size_t buffer_len, const char* location) {
    return guarded(engine, [&](TransferEngine& native) {
        if (buffer_list == nullptr && buffer_len != 0) return ERR_INVALID_ARGUMENT;
        std::vector<mooncake::BufferEntry> buffers;
        for (size_t i = 0; i < buffer_len; ++i) {
            buffers.push_back({buffer_list[i].addr, buffer_list[i].length});
        }
        return native.registerLocalMemoryBatch(
            buffers, location == nullptr ? mooncake::kWildcardLocation : location);
    });
}

int unregisterLocalMemoryBatch(transfer_engine_t engine, void** addr_list, size_t addr_len) {
    return guarded(engine, [&](TransferEngine& native) {
        if (addr_list == nullptr && addr_len != 0) return ERR_INVALID_ARGUMENT;
        return native.unregisterLocalMemoryBatch(
            std::vector<void*>(addr_list, addr_list + addr_len));
    });
}

bool supportFileBuffer(transfer_engine_t engine) {
    return guarded(engine, false,
                   [](TransferEngine& native) { return native.supportFileBuffer(); });
}

int registerLocalFile(transfer_engine_t engine, const char* path, size_t size, file_id_t* id) {
    return registerLocalFileWithOptions(engine, path, size, 0, id);
}

int registerLocalFileWithOptions(transfer_engine_t engine, const char* path, size_t size,
                                 unsigned options, file_id_t* id) {
    return guarded(engine, [&](TransferEngine& native) {
        constexpr unsigned kKnown = LOCAL_FILE_READ_ONLY | LOCAL_FILE_UNCHECKED_PATH;
        if (id == nullptr || (options & ~kKnown) != 0) return ERR_INVALID_ARGUMENT;
        return native.registerLocalFile(
            text(path), size, *id,
            {(options & LOCAL_FILE_READ_ONLY) != 0, (options & LOCAL_FILE_UNCHECKED_PATH) == 0});
    });
}

int registerLocalFileAs(transfer_engine_t engine, const char* path, size_t size, file_id_t id) {
    return guarded(engine, [&](TransferEngine& native) {
        return native.registerLocalFileAs(text(path), size, id);
    });
}

int unregisterLocalFile(transfer_engine_t engine, const char* path) {
    return guarded(engine,
                   [&](TransferEngine& native) { return native.unregisterLocalFile(text(path)); });
}

batch_id_t allocateBatchID(transfer_engine_t engine, size_t batch_size) {
    return guarded(engine, batch_id_t{INVALID_BATCH},
                   [&](TransferEngine& native) { return native.allocateBatchID(batch_size); });
}

int submitTransfer(transfer_engine_t engine, batch_id_t batch_id, struct transfer_request* entries,
                   size_t count) {
    return guarded(engine, [&](TransferEngine& native) {
        if (entries == nullptr && count != 0) return ERR_INVALID_ARGUMENT;
        std::vector<mooncake::TransferRequest> requests(count);
        for (size_t i = 0; i < count; ++i) {
            const transfer_request& from = entries[i];
            if (from.opcode != OPCODE_READ && from.opcode != OPCODE_WRITE) {
                LOG(ERROR) << "Request " << i << " has the opcode " << from.opcode
                           << ", which is neither OPCODE_READ nor OPCODE_WRITE";
                return ERR_INVALID_ARGUMENT;
            }
            mooncake::TransferRequest& to = requests[i];
            to.opcode = from.opcode == OPCODE_READ ? mooncake::TransferRequest::READ
                                                   : mooncake::TransferRequest::WRITE;
            to.source = from.source;
            to.target_id = static_cast<mooncake::SegmentID>(from.target_id);
            to.target_offset = from.target_offset;
            to.length = from.length;
            to.file_id = from.file_id;
        }
        return toError(native.submitTransfer(batch_id, requests));
    });
}

int getTransferStatus(transfer_engine_t engine, batch_id_t batch_id, size_t task_id,
                      struct transfer_status* status) {
    return guarded(engine, [&](TransferEngine& native) {
        if (status == nullptr) return ERR_INVALID_ARGUMENT;
        mooncake::TransferStatus native_status{};
        const Status result = native.getTransferStatus(batch_id, task_id, native_status);
        if (result.ok()) {
            status->status = native_status.s;
            status->transferred_bytes = native_status.transferred_bytes;
        }
        return toError(result);
    });
}

int freeBatchID(transfer_engine_t engine, batch_id_t batch_id) {
    return guarded(engine,
                   [&](TransferEngine& native) { return toError(native.freeBatchID(batch_id)); });
}

int waitForProgress(transfer_engine_t engine, uint64_t limit_us) {
    constexpr uint64_t kMost = 60 * 1000 * 1000;
    return guarded(engine, 0, [&](TransferEngine& native) {
        return native.waitForProgress(std::chrono::microseconds(std::min(limit_us, kMost))) ? 1 : 0;
    });
}

int syncSegmentCache(transfer_engine_t engine) {
    return guarded(engine, [](TransferEngine& native) { return native.syncSegmentCache(); });
}
