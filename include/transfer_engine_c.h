// SPDX-License-Identifier: Apache-2.0
/* The engine for C.
 *
 * Thread rule: every function may be called from any thread, several at once, except
 * destroyTransferEngine, which is the last one for its engine.
 * Arguments: strings end in a zero byte and are copied before the functions return, as are arrays;
 * a null engine, and a null string unless it is said to be allowed, is an error.
 * Results: functions that return int give 0, or a negative value of error.h. The cause is in the
 * log (glog: standard error unless the program sets it up otherwise). Sizes, lengths and offsets
 * are in bytes. In a forked child of the process that made an engine, its functions return their
 * error and destroyTransferEngine touches nothing outside the child. More on each function stands
 * in transfer_engine.h, under the same name. No C++ exception leaves a function. */
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

/* A new engine that has joined a metadata store, or null.
 *   metadata_conn_string  http://host:port/metadata, etcd://host:port[,host:port...],
 *                         redis://host:port, or P2PHANDSHAKE
 *   local_server_name     this node's name; with P2PHANDSHAKE its address, host:port
 *   ip_or_host_name       published as the node's address; null or empty: the host in the name
 *   rpc_port              published beside it, 0 to 65535
 *   auto_discover         concerns memory segments; not used
 * The caller's, to be ended with destroyTransferEngine. */
transfer_engine_t createTransferEngine(const char* metadata_conn_string,
                                       const char* local_server_name, const char* ip_or_host_name,
                                       uint64_t rpc_port, int auto_discover);
/* Ends the engine's requests, uninstalls its transports, takes back what it published and frees it,
 * with the batches that nobody freed. Nothing for null. */
void destroyTransferEngine(transfer_engine_t engine);

/* Writes "address:port", as others see this node, and a zero byte to the buf_len bytes at buf_out.
 * ERR_INVALID_ARGUMENT if they do not hold it. */
int getLocalIpAndPort(transfer_engine_t engine, char* buf_out, size_t buf_len);

/* The transport of protocol `proto`, "nvmeof_generic"; null on failure. args[0] is a char* to the
 * address at which this node exports files, "trtype=tcp adrfam=ipv4 traddr=10.0.0.1 trsvcid=4420";
 * args or args[0] null for a node that exports none. The result is the engine's. */
transport_t installTransport(transfer_engine_t engine, const char* proto, void** args);
/* Ends the transport's requests and destroys it. ERR_INVALID_ARGUMENT where it is not installed. */
int uninstallTransport(transfer_engine_t engine, const char* proto);

/* The segment of the node of that name, for requests' target_id; LOCAL_SEGMENT for one's own; -1
 * where it cannot be found or the metadata store does not answer. */
segment_id_t openSegment(transfer_engine_t engine, const char* segment_name);
/* The same, with a descriptor fresh from the metadata store. */
segment_id_t openSegmentNoCache(transfer_engine_t engine, const char* segment_name);
/* The next openSegment asks the metadata store again. ERR_INVALID_ARGUMENT for a segment that is
 * not open. */
int closeSegment(transfer_engine_t engine, segment_id_t segment_id);
/* Forgets the segment in this process; what its node published stays. */
int removeLocalSegment(transfer_engine_t engine, const char* segment_name);

/* Memory for transfers; transfers to files need none registered. `length` is 1 or more; `location`
 * null means anywhere; `remote_accessible` concerns memory segments. ERR_ADDRESS_OVERLAPPED for a
 * region that overlaps a registered one. The memory stays the caller's. */
int registerLocalMemory(transfer_engine_t engine, void* addr, size_t length, const char* location,
                        int remote_accessible);
/* ERR_ADDRESS_NOT_REGISTERED where no region starts at `addr`. */
int unregisterLocalMemory(transfer_engine_t engine, void* addr);
/* The same for arrays of `buffer_len` and `addr_len` elements: all, or none. */
int registerLocalMemoryBatch(transfer_engine_t engine, buffer_entry_t* buffer_list,
                             size_t buffer_len, const char* location);
int unregisterLocalMemoryBatch(transfer_engine_t engine, void** addr_list, size_t addr_len);

/* Whether a transport is installed that serves files. */
bool supportFileBuffer(transfer_engine_t engine);
/* Offers the first `size` bytes of a file or block device to other nodes. *id receives the number
 * that requests name it by, 1 or more; it is unchanged on failure. ERR_ADDRESS_OVERLAPPED for a
 * file that is registered, ERR_NOT_IMPLEMENTED without a transport that serves files. */
int registerLocalFile(transfer_engine_t engine, const char* path, size_t size, file_id_t* id);
/* The same with options, which are added up: LOCAL_FILE_READ_ONLY has the kernel fail every remote
 * write; LOCAL_FILE_UNCHECKED_PATH takes a path that other users than root and the process's could
 * change. ERR_INVALID_ARGUMENT for another bit; ERR_NOT_IMPLEMENTED also where the transport knows
 * no options. */
#define LOCAL_FILE_READ_ONLY 1u
#define LOCAL_FILE_UNCHECKED_PATH 2u
int registerLocalFileWithOptions(transfer_engine_t engine, const char* path, size_t size,
                                 unsigned options, file_id_t* id);
/* The same with a number of the caller's choice, 1 to 65535; an addition to Mooncake's interface.
 * ERR_ADDRESS_OVERLAPPED also for one that this engine has given a file already. */
int registerLocalFileAs(transfer_engine_t engine, const char* path, size_t size, file_id_t id);
/* ERR_ADDRESS_NOT_REGISTERED where `path` is not registered. */
int unregisterLocalFile(transfer_engine_t engine, const char* path);

/* A batch for at most `batch_size` requests, to be freed with freeBatchID; INVALID_BATCH on
 * failure. */
batch_id_t allocateBatchID(transfer_engine_t engine, size_t batch_size);
/* Adds `count` requests to the batch and starts them. The entries may go when this returns; the
 * memory at their `source` must stay until their status is COMPLETED or FAILED. 0, and nothing
 * happens, with a count of 0. None is added on ERR_INVALID_ARGUMENT (an unknown opcode, segment or
 * batch), ERR_TOO_MANY_REQUESTS (more than the batch has room for) and -8 (no transport for a
 * segment). On any other error requests may be under way: where getTransferStatus knows the
 * first of them, all were added, and each ends. ERR_MEMORY: there was not enough memory. */
int submitTransfer(transfer_engine_t engine, batch_id_t batch_id, struct transfer_request* entries,
                   size_t count);
/* The state of request `task_id` of the batch, counted from 0 in the order of submission. WAITING
 * until it has ended as COMPLETED or FAILED; transferred_bytes is exact then. */
int getTransferStatus(transfer_engine_t engine, batch_id_t batch_id, size_t task_id,
                      struct transfer_status* status);
/* Waits until a request may have ended, without using a processor: to be called between two
 * questions. Returns after `limit_us` microseconds at the latest, perhaps earlier. 0 where no
 * request has ended since this thread's last call, 1 where one may have. With a limit of 0 it does
 * not wait. An addition to Mooncake's interface. */
int waitForProgress(transfer_engine_t engine, uint64_t limit_us);
/* ERR_BATCH_BUSY, without a line in the log, while a request of the batch has not ended;
 * ERR_INVALID_ARGUMENT for a batch that was freed. */
int freeBatchID(transfer_engine_t engine, batch_id_t batch_id);

/* Asks the metadata store afresh for every open segment. ERR_METADATA where one cannot be had. */
int syncSegmentCache(transfer_engine_t engine);

#ifdef __cplusplus
}
#endif

#endif
