// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// Sets up RDMA over a dummy network device (soft-RoCE) at the first call.
/// @return its IPv4 address
const std::string& softRoceAddress();
