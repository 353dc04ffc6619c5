// SPDX-License-Identifier: Apache-2.0
/* The engine for C. Every function may be called from any thread at any time, except
 * destroyTransferEngine, which is the last one for its engine. Strings are copied before the
 * functions return. A null engine or string is an error. What each function does is told in
 * transfer_engine.h, under the same name; functions that return int give 0 or a negative value of
 * error.h. */
#ifndef MOONCAKE_TRANSFER_ENGINE_C_H
#define MOONCAKE_TRANSFER_ENGINE_C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define segment_handle_t int32_t
#define segment_id_t int32_t
#define file_id_t uint32_t
#define batch_id_t uint64_t
#define LOCAL_SEGMENT (0)
#define INVALID_BATCH UINT64_MAX

#define OPCODE_READ (0)
#define OPCODE_WRITE (1)

struct transfer_request {
    int opcode;             /* OPCODE_READ or OPCODE_WRITE */
    void* source;           /* local memory */
    segment_id_t target_id; /* what openSegment gave */
    uint64_t target_offset; /* bytes */
    uint64_t length;        /* bytes */
    file_id_t file_id; /* last, so that the members before it lie where they do without files */
};
typedef struct transfer_request transfer_request_t;

#define STATUS_WAITING (0)
#define STATUS_PENDING (1)
#define STATUS_INVALID (2)
#define STATUS_CANCELED (3)
#define STATUS_COMPLETED (4)
#define STATUS_TIMEOUT (5)
#define STATUS_FAILED (6)

struct transfer_status {
    int status;                 /* one of the above */
    uint64_t transferred_bytes; /* bytes */
};
typedef struct transfer_status transfer_status_t;

struct buffer_entry {
    void* addr;
    size_t length; /* bytes */
};
typedef struct buffer_entry buffer_entry_t;

typedef void* transfer_engine_t;
typedef void* transport_t;

/* A new engine, initialised; null on failure. `ip_or_host_name` may be null. `auto_discover`
 * concerns memory segments and is not used. To be ended with destroyTransferEngine. */
transfer_engine_t createTransferEngine(const char* metadata_conn_string,
                                       const char* local_server_name, const char* ip_or_host_name,
                                       uint64_t rpc_port, int auto_discover);
void destroyTransferEngine(transfer_engine_t engine);

/* Writes "address:port" and a zero byte to buf_out. ERR_INVALID_ARGUMENT if buf_len bytes do not
 * hold them. */
int getLocalIpAndPort(transfer_engine_t engine, char* buf_out, size_t buf_len);

/* Null on failure. */
transport_t installTransport(transfer_engine_t engine, const char* proto, void** args);
int uninstallTransport(transfer_engine_t engine, const char* proto);

/* -1 on failure. */
segment_id_t openSegment(transfer_engine_t engine, const char* segment_name);
/* The same with a descriptor fresh from the metadata store. */
segment_id_t openSegmentNoCache(transfer_engine_t engine, const char* segment_name);
int closeSegment(transfer_engine_t engine, segment_id_t segment_id);
int removeLocalSegment(transfer_engine_t engine, const char* segment_name);

int registerLocalMemory(transfer_engine_t engine, void* addr, size_t length, const char* location,
                        int remote_accessible);
int unregisterLocalMemory(transfer_engine_t engine, void* addr);
int registerLocalMemoryBatch(transfer_engine_t engine, buffer_entry_t* buffer_list,
                             size_t buffer_len, const char* location);
int unregisterLocalMemoryBatch(transfer_engine_t engine, void** addr_list, size_t addr_len);

bool supportFileBuffer(transfer_engine_t engine);
int registerLocalFile(transfer_engine_t engine, const char* path, size_t size, file_id_t* id);
int unregisterLocalFile(transfer_engine_t engine, const char* path);

/* INVALID_BATCH on failure. */
batch_id_t allocateBatchID(transfer_engine_t engine, size_t batch_size);
int submitTransfer(transfer_engine_t engine, batch_id_t batch_id, struct transfer_request* entries,
                   size_t count);
int getTransferStatus(transfer_engine_t engine, batch_id_t batch_id, size_t task_id,
                      struct transfer_status* status);
int freeBatchID(transfer_engine_t engine, batch_id_t batch_id);

int syncSegmentCache(transfer_engine_t engine);

#ifdef __cplusplus
}
#endif

#endif
