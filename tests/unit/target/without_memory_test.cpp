// SPDX-License-Identifier: Apache-2.0
// Memory runs out while a target serves. A program of its own, since it has a say in who gets some.
#include <chrono>
#include <string>
#include <thread>

#include "memory_limit.h"
#include "target_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{1};

class WithoutMemoryTest : public TargetTest {
 protected:
    static bool eventually(const std::function<bool()>& condition) {
        const auto limit = Clock::now() + std::chrono::seconds(30);
        while (!condition()) {
            if (Clock::now() > limit) return false;
            std::this_thread::sleep_for(kPause);
        }
        return true;
    }
};

TEST_F(WithoutMemoryTest, AnAddressThatComesIsAddedWhenThereIsSome) {
    options_.addressInterval = kPause;
    nvmet_->absent = {"127.0.0.2"};
    auto started =
        Target::start({kLoopback, {"tcp", "ipv4", "127.0.0.2", "4420"}}, options_, nvmet_);
    ASSERT_TRUE(started.ok()) << started.error().message;
    const auto target = started.take();
    {
        const test_support::NoMemoryFor none("nvmeof-ports");
        EXPECT_TRUE(eventually([&] { return none.refusals() > 1; }));
    }
    {
        const std::lock_guard guard(nvmet_->mutex());
        nvmet_->absent.clear();
    }
    const std::string link = nvmetDir_.path() + "/ports/40001/subsystems/" + target->subsystemNqn();
    EXPECT_TRUE(eventually([&] { return nvmet_->exists(link) == 0; }));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
