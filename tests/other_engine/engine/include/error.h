// SPDX-License-Identifier: Apache-2.0
#pragma once

#define ERR_INVALID_ARGUMENT (-1)
#define ERR_ADDRESS_NOT_REGISTERED (-3)
#define ERR_METADATA (-200)
#define ERR_CONTEXT (-202)
#define ERR_NOT_IMPLEMENTED (-303)
