// SPDX-License-Identifier: Apache-2.0
// What is etcd's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backends.h"
