/* SPDX-License-Identifier: Apache-2.0 */
/* The whole C API from a program in C11: two engines, of which the second writes to and reads from a file of the first.
 * Arguments: metadata connection string, control of the fixture transport. Returns the number of the step that failed. */
#include "transfer_engine_c.h"

#include <string.h>

int runProgramInC(const char *metadata, void *control);

enum { kBlock = 512 };

static int moveBlock(transfer_engine_t engine, int opcode, segment_id_t segment, file_id_t file, void *data)
{
    struct transfer_request request = {
        .opcode = opcode, .source = data, .target_id = segment, .target_offset = 0, .length = kBlock, .file_id = file};
    struct transfer_status status = {.status = STATUS_WAITING};
    const batch_id_t batch = allocateBatchID(engine, 1);
    if (batch == INVALID_BATCH) return 0;
    int good = submitTransfer(engine, batch, &request, 1) == 0;
    while (good && (status.status == STATUS_WAITING || status.status == STATUS_PENDING)) {
        waitForProgress(engine, UINT64_MAX);
        good = getTransferStatus(engine, batch, 0, &status) == 0;
    }
    good = good && status.status == STATUS_COMPLETED && status.transferred_bytes == kBlock;
    return freeBatchID(engine, batch) == 0 && good;
}

int runProgramInC(const char *metadata, void *control)
{
    static _Alignas(4096) unsigned char data[kBlock];
    void *args[] = {control};
    void *addresses[] = {data};
    buffer_entry_t entry = {data, sizeof(data)};
    char name[64];
    file_id_t file = 0;
    memset(data, 0x5a, sizeof(data));

    transfer_engine_t target = createTransferEngine(metadata, "c-target", "127.0.0.1", 12345, 0);
    transfer_engine_t initiator = createTransferEngine(metadata, "c-initiator", NULL, 12346, 0);
    if (target == NULL || initiator == NULL) return 1;
    if (getLocalIpAndPort(target, name, sizeof(name)) != 0 || strcmp(name, "127.0.0.1:12345") != 0) return 2;
    if (supportFileBuffer(target)) return 3;
    if (installTransport(target, "fixture_good", args) == NULL) return 4;
    if (installTransport(initiator, "fixture_good", args) == NULL) return 5;
    if (!supportFileBuffer(target)) return 6;
    if (registerLocalFile(target, "/c/file", 4096, &file) != 0 || file != 1) return 7;

    const segment_id_t segment = openSegment(initiator, "c-target");
    if (segment <= 0 || openSegmentNoCache(initiator, "c-target") != segment) return 8;
    if (openSegment(initiator, "nobody") != -1) return 9;
    if (registerLocalMemoryBatch(initiator, &entry, 1, "cpu:0") != 0) return 10;
    if (!moveBlock(initiator, OPCODE_WRITE, segment, file, data)) return 11;
    if (!moveBlock(initiator, OPCODE_READ, segment, file, data)) return 12;
    if (syncSegmentCache(initiator) != 0) return 13;
    if (unregisterLocalMemoryBatch(initiator, addresses, 1) != 0) return 14;
    if (registerLocalMemory(initiator, data, sizeof(data), "*", 1) != 0) return 15;
    if (unregisterLocalMemory(initiator, data) != 0) return 16;
    if (closeSegment(initiator, segment) != 0) return 17;
    if (removeLocalSegment(initiator, "c-target") != 0) return 18;

    /* Wrong calls are errors, and nothing worse. */
    if (unregisterLocalFile(target, "/no/such/file") == 0) return 19;
    if (registerLocalFile(target, NULL, 4096, &file) == 0) return 20;
    if (freeBatchID(initiator, INVALID_BATCH) == 0) return 21;
    if (uninstallTransport(initiator, "nobody") == 0) return 22;
    if (waitForProgress(NULL, 1) != 0) return 26;
    if (submitTransfer(initiator, INVALID_BATCH, NULL, 1) == 0) return 23;

    if (unregisterLocalFile(target, "/c/file") != 0) return 24;
    if (uninstallTransport(target, "fixture_good") != 0) return 25;
    destroyTransferEngine(initiator);
    destroyTransferEngine(target);
    return 0;
}
