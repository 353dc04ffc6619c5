/* SPDX-License-Identifier: Apache-2.0 */
/* The engine from C: write to a file of another node and read it back.
 *
 *   file_transfer <metadata connection string> <segment> <file id>
 *
 * Overwrites the first 64 KiB of the file. A target to try it on:
 *   transfer_engine_nvmeof_generic_bench --mode=target --local_server_name=node-1 --files=/data/a ...
 * Its files have the ids 1, 2, ... in the order of --files. Needs a Linux kernel with nvme-tcp, and root. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer_engine_c.h"

enum { kBytes = 65536 };

/* Moves one buffer to or from the start of the file, and waits for it. 0, or -1 with the cause printed. */
static int transfer(transfer_engine_t engine, int opcode, segment_id_t segment, file_id_t file, void *data)
{
    struct transfer_request request = {
        .opcode = opcode, .source = data, .target_id = segment, .target_offset = 0, .length = kBytes, .file_id = file};
    struct transfer_status status = {.status = STATUS_WAITING};

    const batch_id_t batch = allocateBatchID(engine, 1);
    if (batch == INVALID_BATCH) return -1;
    int rc = submitTransfer(engine, batch, &request, 1);
    while (rc == 0 && status.status == STATUS_WAITING) {
        waitForProgress(engine, 10000);
        rc = getTransferStatus(engine, batch, 0, &status);
    }
    if (rc == 0 && status.status != STATUS_COMPLETED) rc = -1;
    if (rc != 0) fprintf(stderr, "%s failed; the log above says why\n", opcode == OPCODE_WRITE ? "writing" : "reading");
    freeBatchID(engine, batch);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s <metadata connection string> <segment> <file id>\n", argv[0]);
        return 1;
    }
    char name[64];
    snprintf(name, sizeof(name), "file-transfer-%ld", (long)getpid());
    transfer_engine_t engine = createTransferEngine(argv[1], name, NULL, 12345, 0);
    if (engine == NULL) return 1;

    int result = 1;
    unsigned char *written = aligned_alloc(4096, kBytes);
    unsigned char *read = aligned_alloc(4096, kBytes);
    /* Null: this node exports nothing itself. */
    if (written != NULL && read != NULL && installTransport(engine, "nvmeof_generic", NULL) != NULL) {
        const segment_id_t segment = openSegment(engine, argv[2]);
        const file_id_t file = (file_id_t)strtoul(argv[3], NULL, 10);
        for (int i = 0; i < kBytes; ++i) written[i] = (unsigned char)(i * 31 % 251);
        if (segment != -1 && transfer(engine, OPCODE_WRITE, segment, file, written) == 0 &&
            transfer(engine, OPCODE_READ, segment, file, read) == 0) {
            result = memcmp(read, written, kBytes) == 0 ? 0 : 1;
            puts(result == 0 ? "wrote and read back 65536 bytes" : "what was read is not what was written");
        }
    }
    free(written);
    free(read);
    destroyTransferEngine(engine);
    return result;
}
