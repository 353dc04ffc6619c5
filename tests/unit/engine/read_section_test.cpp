// SPDX-License-Identifier: Apache-2.0
#include "read_section.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace mooncake {
namespace {

constexpr std::chrono::seconds kLimit(60);

struct Counted : Retired {
    explicit Counted(std::atomic<int>& destroyed) : destroyed_(destroyed) {}
    ~Counted() override { ++destroyed_; }
    std::atomic<int>& destroyed_;
};

class ReadSectionTest : public ::testing::Test {
 protected:
    void retire() { domain_.retire(std::make_unique<Counted>(destroyed_)); }

    std::atomic<int> destroyed_{0};
    ReadDomain domain_;
};

// A thread in a section of its own until it is told to leave.
class Reader {
 public:
    explicit Reader(ReadDomain& domain)
        : thread_([this, &domain] {
              const ReadSection section(domain);
              entered_.set_value();
              leave_.get_future().wait();
          }) {
        entered_.get_future().wait();
    }
    void leave() {
        leave_.set_value();
        thread_.join();
    }

 private:
    std::promise<void> entered_;
    std::promise<void> leave_;
    std::thread thread_;
};

TEST_F(ReadSectionTest, WhatNobodyReadsIsDestroyedAtOnce) {
    retire();
    EXPECT_EQ(destroyed_, 1);
    domain_.retire(nullptr);
    domain_.collect();
    EXPECT_EQ(destroyed_, 1);
}

TEST_F(ReadSectionTest, WhatAReaderMaySeeStaysUntilItLeaves) {
    Reader early(domain_);
    retire();
    Reader late(domain_);
    retire();
    EXPECT_EQ(destroyed_, 0);
    early.leave();
    domain_.collect();
    EXPECT_EQ(destroyed_, 1) << "the second reader came after the first was retired";
    late.leave();
    retire();
    EXPECT_EQ(destroyed_, 3);
}

TEST_F(ReadSectionTest, AnotherDomainsReadersDoNotMatter) {
    ReadDomain other;
    Reader reader(other);
    retire();
    EXPECT_EQ(destroyed_, 1);
    domain_.synchronize();
    reader.leave();
}

TEST_F(ReadSectionTest, TheDomainDestroysWhatIsLeft) {
    {
        ReadDomain domain;
        Reader reader(domain);
        for (int i = 0; i < 100000; ++i) domain.retire(std::make_unique<Counted>(destroyed_));
        EXPECT_EQ(destroyed_, 0);
        reader.leave();
    }
    EXPECT_EQ(destroyed_, 100000);
}

TEST_F(ReadSectionTest, SectionsAreNested) {
    ReadDomain other;
    {
        const ReadSection outer(domain_);
        {
            const ReadSection inner(domain_);
            const ReadSection third(other);
            EXPECT_TRUE(inner && third);
            std::thread([&] {
                other.retire(std::make_unique<Counted>(destroyed_));
                retire();
            }).join();
        }
        std::thread([&] { other.collect(); }).join();
        EXPECT_EQ(destroyed_, 1) << "the inner one has been left";
        domain_.collect();
        EXPECT_EQ(destroyed_, 1) << "the outer one has not";
    }
    domain_.collect();
    EXPECT_EQ(destroyed_, 2);
}

TEST_F(ReadSectionTest, SynchronizeWaitsForThoseWhoAreIn) {
    Reader reader(domain_);
    std::atomic<bool> returned{false};
    std::thread waiter([&] {
        domain_.synchronize();
        returned = true;
    });
    for (int i = 0; i < 100; ++i) {
        const ReadSection section(domain_);
        std::this_thread::yield();
    }
    EXPECT_FALSE(returned);
    reader.leave();
    waiter.join();
}

// Sections that follow one another without a pause hold nobody up.
TEST_F(ReadSectionTest, ReadersThatComeAgainAndAgainHoldUpNobody) {
    std::atomic<bool> done{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 4; ++i) {
        readers.emplace_back([&] {
            while (!done) const ReadSection section(domain_);
        });
    }
    for (int i = 0; i < 20; ++i) domain_.synchronize();
    done = true;
    for (std::thread& reader : readers) reader.join();
}

// Nor do sections of which there is always one, as where many threads poll.
TEST_F(ReadSectionTest, SectionsThatOverlapWithoutEndHoldUpNobody) {
    std::optional<ReadSection> one(std::in_place, domain_), other;
    std::atomic<bool> returned{false};
    std::thread waiter([&] {
        domain_.synchronize();
        returned = true;
    });
    // Longer than a look at all of them takes, which would else meet each while it is not there.
    const auto overlap = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (!returned && std::chrono::steady_clock::now() < limit) {
        other.emplace(domain_);
        overlap();
        one.reset();
        one.emplace(domain_);
        overlap();
        other.reset();
    }
    EXPECT_TRUE(returned);
    one.reset();
    waiter.join();
}

struct Value : Retired {
    explicit Value(int n) : number(n), twice(2 * n) {}
    ~Value() override { number = -1; }
    int number;
    int twice;
};

TEST_F(ReadSectionTest, AReaderNeverSeesWhatWasDestroyed) {
    std::atomic<Value*> published{new Value(0)};
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 4; ++i) {
        readers.emplace_back([&] {
            while (!done) {
                const ReadSection section(domain_);
                const Value* const value = published.load(std::memory_order_seq_cst);
                if (value->number < 0 || value->twice != 2 * value->number) ++wrong;
            }
        });
    }
    for (int i = 1; i < 20000; ++i) {
        domain_.retire(std::unique_ptr<Value>(published.exchange(new Value(i))));
    }
    done = true;
    for (std::thread& reader : readers) reader.join();
    delete published.load();
    EXPECT_EQ(wrong, 0);
}

// A thread's slot serves the next thread.
TEST(ThreadSlotTest, ThereAreAsManyAsThreadsAtATime) {
    uint32_t most = 0;
    const auto use = [&most] {
        const ThreadSlot* const slot = ownThreadSlot();
        ASSERT_NE(slot, nullptr);
        EXPECT_EQ(slot, ownThreadSlot());
        most = std::max(most, slot->number);
    };
    std::thread(use).join();
    const uint32_t before = most;
    for (int i = 0; i < 100; ++i) std::thread(use).join();
    EXPECT_EQ(most, before);
    const uint32_t own = ownThreadSlot()->number;
    std::thread([own] { EXPECT_NE(ownThreadSlot()->number, own); }).join();
}

// Whose sections no thread of the child will ever leave.
TEST(ThreadSlotTest, AForkedChildDoesNotWaitForItsParentsThreads) {
    ReadDomain domain;
    Reader reader(domain);
    ASSERT_NE(ownThreadSlot(), nullptr);
    const pid_t child = fork();
    if (child == 0) {
        alarm(static_cast<unsigned>(kLimit.count()));
        const bool fresh = ownThreadSlot() != nullptr && ownThreadSlot()->number == 0;
        domain.synchronize();
        { const ReadSection section(domain); }
        domain.synchronize();
        _exit(fresh ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    reader.leave();
}

// The destructors of a thread's objects run after those of what the section keeps for it.
TEST(ThreadSlotTest, AThreadMayReadWhileItEnds) {
    static ReadDomain domain;
    static std::atomic<int> sections{0};
    struct Late {
        ~Late() {
            const ReadSection section(domain);
            if (section && ownThreadSlot() == nullptr) ++sections;
        }
    };
    std::thread([] {
        // Made first, destroyed last.
        thread_local Late late;
        static_cast<void>(&late);
        const ReadSection section(domain);
    }).join();
    EXPECT_EQ(sections, 1);
    domain.synchronize();
}

}  // namespace
}  // namespace mooncake
