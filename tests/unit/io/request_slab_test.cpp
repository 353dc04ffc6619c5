// SPDX-License-Identifier: Apache-2.0
#include "request_slab.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr size_t kCount = 10'000;

// Case 43: a request that waits costs its record, and little more.
TEST(RequestSlab, RecordsLieCloseAndAreUsedAgain) {
    RequestSlab slab;
    std::vector<Request*> requests;
    for (size_t i = 0; i < kCount; ++i) requests.push_back(slab.allocate());
    EXPECT_EQ(std::set<Request*>(requests.begin(), requests.end()).size(), kCount);
    const size_t footprint = slab.footprint();
    EXPECT_GE(footprint, kCount * sizeof(Request));
    EXPECT_LE(footprint, kCount * sizeof(Request) * 5 / 4);
    for (int round = 0; round < 3; ++round) {
        for (Request* request : requests) slab.free(request);
        for (Request*& request : requests) request = slab.allocate();
    }
    EXPECT_EQ(slab.footprint(), footprint);
    EXPECT_EQ(slab.used(), kCount);
}

TEST(RequestSlab, TrimGivesBackAllOrNothing) {
    RequestSlab slab;
    Request* first = slab.allocate();
    Request* second = slab.allocate();
    slab.free(first);
    const size_t footprint = slab.footprint();
    slab.trim();
    EXPECT_EQ(slab.footprint(), footprint) << "one is in use";
    slab.free(second);
    slab.trim();
    EXPECT_EQ(slab.footprint(), 0U);
    EXPECT_NE(slab.allocate(), nullptr);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
