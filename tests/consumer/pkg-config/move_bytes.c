/* SPDX-License-Identifier: Apache-2.0 */
/* move_bytes <folder>: the same as cmake/move_bytes.cpp, from C. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>
#include <transfer_engine_c.h>

enum { kBytes = 1 << 20, kOffset = 8192, kWritten = 300000 };

static void need(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "FAILED: %s\n", what);
    exit(1);
}

static void fill(unsigned char *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; ++i) bytes[i] = (unsigned char)((i * 2654435761u + seed * 97 + i / 251) >> 3);
}

static void move(transfer_engine_t engine, struct transfer_request request)
{
    struct transfer_status status = {.status = STATUS_WAITING};
    const struct timespec pause = {.tv_nsec = 100000};
    const batch_id_t batch = allocateBatchID(engine, 1);
    need(batch != INVALID_BATCH, "a batch");
    need(submitTransfer(engine, batch, &request, 1) == 0, "submitting");
    while (status.status == STATUS_WAITING) {
        thrd_sleep(&pause, NULL);
        need(getTransferStatus(engine, batch, 0, &status) == 0, "asking for the status");
    }
    need(status.status == STATUS_COMPLETED && status.transferred_bytes == request.length, "the transfer");
    need(freeBatchID(engine, batch) == 0, "freeing the batch");
}

int main(int argc, char **argv)
{
    static unsigned char wanted[kBytes], seen[kBytes], written[kWritten];
    char path[4096], name[64], address[] = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    void *args[] = {address};
    file_id_t file = 0;

    need(argc == 2, "usage: move_bytes <folder>");
    snprintf(path, sizeof(path), "%s/consumer-c", argv[1]);
    fill(wanted, kBytes, 3);
    FILE *stream = fopen(path, "wb");
    need(stream != NULL && fwrite(wanted, 1, kBytes, stream) == kBytes && fclose(stream) == 0, "making the file");

    transfer_engine_t engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1:0", NULL, 0, 0);
    need(engine != NULL, "an engine");
    need(installTransport(engine, "nvmeof_generic", args) != NULL, "installing the transport");
    need(supportFileBuffer(engine), "a transport that serves files");
    need(registerLocalFile(engine, path, kBytes, &file) == 0 && file != 0, "registering the file");
    need(getLocalIpAndPort(engine, name, sizeof(name)) == 0, "this node's name");
    const segment_id_t segment = openSegment(engine, name);
    need(segment != -1, "opening the segment");

    /* What lies in the file comes over the wire, and what goes over the wire lies in the file. */
    move(engine, (struct transfer_request){.opcode = OPCODE_READ, .source = seen, .target_id = segment, .length = kBytes, .file_id = file});
    need(memcmp(seen, wanted, kBytes) == 0, "what was read is not what is in the file");
    fill(written, kWritten, 4);
    move(engine, (struct transfer_request){.opcode = OPCODE_WRITE, .source = written, .target_id = segment, .target_offset = kOffset, .length = kWritten, .file_id = file});
    memcpy(wanted + kOffset, written, kWritten);
    stream = fopen(path, "rb");
    need(stream != NULL && fread(seen, 1, kBytes, stream) == kBytes && fclose(stream) == 0, "reading the file itself");
    need(memcmp(seen, wanted, kBytes) == 0, "what is in the file is not what was written");

    need(unregisterLocalFile(engine, path) == 0, "unregistering the file");
    destroyTransferEngine(engine);
    printf("C: moved %d bytes\n", kBytes + kWritten);
    return 0;
}
