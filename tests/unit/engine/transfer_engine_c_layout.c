// SPDX-License-Identifier: Apache-2.0
// The C header as a C compiler sees it.
#include "transfer_engine_c.h"

size_t requestSizeInC(void);
size_t fileIdOffsetInC(void);

size_t requestSizeInC(void) { return sizeof(transfer_request_t); }
size_t fileIdOffsetInC(void) { return offsetof(struct transfer_request, file_id); }
