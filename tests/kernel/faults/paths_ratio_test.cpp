// SPDX-License-Identifier: Apache-2.0
// How much two links carry against one. No tests: times decide nothing there. Run by
// scripts/paths_ratio.sh.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "faults_fixture.h"
#include "file_pattern.h"
#include "kernel_state.h"

namespace {

using namespace mooncake;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class PathsRatio : public FaultTest {
 protected:
    Host& host() { return FaultTest::host(kOneLink + 1); }

    // So slow that the links, and not the emulated processors, are the limit.
    void limit(int link, int megabits) {
        const std::string device = host().device(link);
        const std::vector<std::string> shape = {"tc",    "qdisc", "replace",
                                                "dev",   device,  "root",
                                                "netem", "rate",  std::to_string(megabits) + "mbit",
                                                "limit", "10000"};
        run(shape);
        host().runThere(shape);
    }
    void unlimit(int link) {
        run({"tc", "qdisc", "del", "dev", host().device(link), "root"});
        host().runThere({"tc", "qdisc", "del", "dev", host().device(link), "root"});
    }
    bool comesUp(int link, bool up) {
        return eventually([&] {
            const auto found = controllersAt(host().address(link));
            return (!found.empty() && stateOf(found[0]) == "live") == up;
        });
    }

    /// Bytes a second, with a fixed number of requests under way, from when the links are full of
    /// them: what is on a slow link takes seconds.
    double rate(TransferRequest::OpCode op, size_t block) {
        constexpr size_t kDepth = 32;
        constexpr auto kFilling = 10s, kTime = 20s;
        TransferEngine& engine = initiator().engine();
        const SegmentID segment = engine.openSegment("wide");
        test_support::AlignedBuffer buffer(kDepth * block);
        const size_t places = kFileBytes / block;
        std::vector<BatchID> batches(kDepth);
        size_t next = 0, moved = 0;
        const auto submit = [&](size_t slot) {
            batches[slot] = engine.allocateBatchID(1);
            const TransferRequest request{
                op,   buffer.data() + slot * block, segment, next++ % places * block, block, 0,
                file_};
            EXPECT_TRUE(engine.submitTransfer(batches[slot], {request}).ok());
        };
        for (size_t slot = 0; slot < kDepth; ++slot) submit(slot);
        const auto start = Clock::now();
        size_t open = kDepth;
        while (open > 0) {
            const auto passed = Clock::now() - start;
            const bool over = passed >= kFilling + kTime;
            for (size_t slot = 0; slot < kDepth; ++slot) {
                if (batches[slot] == 0) continue;
                TransferStatus status{TransferStatusEnum::INVALID, 0};
                EXPECT_TRUE(engine.getTransferStatus(batches[slot], 0, status).ok());
                if (status.s == TransferStatusEnum::WAITING) continue;
                EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
                EXPECT_TRUE(engine.freeBatchID(batches[slot]).ok());
                batches[slot] = 0;
                --open;
                if (over) continue;
                if (passed >= kFilling) moved += block;
                submit(slot);
                ++open;
            }
            engine.waitForProgress(1ms);
        }
        return static_cast<double>(moved) / std::chrono::duration<double>(kTime).count();
    }

    /// @param slower  the first link, of which the second is `faster` times as fast
    void compare(int slower, int faster) {
        const Variable all("MC_NVMEOF_GENERIC_PATHS", "all");
        TargetNode& wide = target(kOneLink + 1, "wide");
        file_ = wide.ids()[0];
        const SegmentID segment = initiator().engine().openSegment("wide");
        test_support::AlignedBuffer page(4096);
        ASSERT_TRUE(eventually(
            [&] { return initiator().write(segment, file_, 0, page.data(), page.size()); }));
        ASSERT_TRUE(comesUp(0, true) && comesUp(1, true));
        limit(0, slower);
        limit(1, slower * faster);
        for (const auto op : {TransferRequest::READ, TransferRequest::WRITE}) {
            for (const size_t block : {size_t{1} << 20, size_t{64} << 10}) {
                host().cut(0);
                ASSERT_TRUE(eventually([&] {
                    return initiator().write(segment, file_, 0, page.data(), page.size()) &&
                           comesUp(0, false);
                }));
                const double one = rate(op, block);
                host().join(0);
                ASSERT_TRUE(comesUp(0, true));
                const double both = rate(op, block);
                printf(
                    "links of 1 : %d, %s of %zu KiB: one %.1f MB/s, both %.1f MB/s, ratio %.2f\n",
                    faster, op == TransferRequest::READ ? "reads" : "writes", block >> 10,
                    one / 1e6, both / 1e6, both / one);
                fflush(stdout);
            }
        }
        unlimit(0);
        unlimit(1);
    }

    uint32_t file_ = 0;
};

TEST_F(PathsRatio, DISABLED_EqualLinks) {
    compare(80, 1);
}

TEST_F(PathsRatio, DISABLED_OneToFour) {
    compare(20, 4);
}

}  // namespace
