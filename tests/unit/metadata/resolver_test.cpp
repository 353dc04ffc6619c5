// SPDX-License-Identifier: Apache-2.0
// Case 45: a name service that is dead, slow, or comes and goes.
#include "resolver.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "deadline_socket.h"
#include "metadata_storage.h"
#include "scripted_server.h"

namespace {

// The name service of this program: what getaddrinfo says of names that end with ".dead" it says
// when it is told to, never before. Those that end with ".two" have two addresses.
std::mutex g_mutex;
std::condition_variable g_revived;
bool g_alive = false;
std::atomic<int> g_asked{0};

void setAlive(bool alive) {
    std::lock_guard lock(g_mutex);
    g_alive = alive;
    g_revived.notify_all();
}

}  // namespace

// In place of the C library's, for this program and all its libraries.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** found) {
    using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
    const bool asks = hints == nullptr || (hints->ai_flags & AI_NUMERICHOST) == 0;
    if (node != nullptr && asks && std::string_view(node).ends_with(".two")) {
        const int error = real("127.0.0.2", service, hints, found);
        return error != 0 ? error : real("127.0.0.1", service, hints, &(*found)->ai_next);
    }
    if (node == nullptr || !asks || !std::string_view(node).ends_with(".dead")) {
        return real(node, service, hints, found);
    }
    ++g_asked;
    std::unique_lock lock(g_mutex);
    g_revived.wait(lock, [] { return g_alive; });
    lock.unlock();
    return real("127.0.0.1", service, hints, found);
}

namespace mooncake::test {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using Clock = Resolver::Clock;
using Outcome = MetadataStorage::Outcome;

Resolver::Addresses addressesOf(const std::string& text) {
    sockaddr_storage address = {};
    EXPECT_TRUE(parseAddress(text, &address));
    return {address};
}

Clock::time_point in(milliseconds time) {
    return Clock::now() + time;
}

// A name service that answers when it is let. Lookups may outlive it, as they outlive a resolver.
class Service {
 public:
    Resolver::Lookup lookup() {
        return [state = state_](const std::string& host, Resolver::Addresses* addresses) {
            std::unique_lock lock(state->mutex);
            ++state->asked;
            state->changed.notify_all();
            state->changed.wait(lock, [&] { return state->answers; });
            if (state->error == 0) *addresses = addressesOf(host == "six" ? "::1" : state->text);
            return state->error;
        };
    }
    void answer(bool on, int error = 0, const std::string& text = "192.0.2.1") {
        std::lock_guard lock(state_->mutex);
        state_->answers = on;
        state_->error = error;
        state_->text = text;
        state_->changed.notify_all();
    }
    int askedFor() {
        std::lock_guard lock(state_->mutex);
        return state_->asked;
    }
    void waitUntilAsked(int times) {
        std::unique_lock lock(state_->mutex);
        state_->changed.wait(lock, [&] { return state_->asked >= times; });
    }

 private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        bool answers = true;
        int error = 0;
        std::string text = "192.0.2.1";
        int asked = 0;
    };
    const std::shared_ptr<State> state_ = std::make_shared<State>();
};

std::string resolved(Resolver& resolver, const std::string& host,
                     milliseconds time = std::chrono::minutes(1)) {
    Resolver::Addresses addresses;
    const Status status = resolver.resolve(host, in(time), &addresses);
    if (!status.ok()) return std::string(status.message());
    char text[INET6_ADDRSTRLEN] = "";
    const sockaddr_storage& first = addresses.at(0);
    if (first.ss_family == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(first).sin_addr, text,
                  sizeof(text));
    } else {
        inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(first).sin6_addr, text,
                  sizeof(text));
    }
    return text;
}

TEST(ResolverTest, AsksOnceForAWhile) {
    Service service;
    Resolver resolver({}, service.lookup());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(resolved(resolver, "a"), "192.0.2.1");
    EXPECT_EQ(service.askedFor(), 1);
    EXPECT_EQ(resolved(resolver, "six"), "::1");
    EXPECT_EQ(service.askedFor(), 2);
    for (const char* figures : {"127.0.0.1", "::1"}) {
        EXPECT_EQ(resolved(resolver, figures), figures);
    }
    EXPECT_EQ(service.askedFor(), 2) << "figures are nobody's to tell";
    Resolver::Limits limits;
    limits.fresh = milliseconds(0);
    Resolver forgetful(limits, service.lookup());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(resolved(forgetful, "a"), "192.0.2.1");
    EXPECT_EQ(service.askedFor(), 5);
}

// Who has to be answered is answered, and the threads that are stuck are not more than so many.
TEST(ResolverTest, ADeadServiceCostsNoMoreThanItsTime) {
    Service service;
    service.answer(false);
    Resolver::Limits limits;
    limits.threads = 2;
    limits.stuck = milliseconds(20);
    Resolver resolver(limits, service.lookup());
    EXPECT_THAT(resolved(resolver, "a", milliseconds(30)), HasSubstr("does not answer in time"));
    EXPECT_THAT(resolved(resolver, "a", milliseconds(1)), HasSubstr("does not answer in time"));
    EXPECT_EQ(service.askedFor(), 1) << "the same question again";
    EXPECT_THAT(resolved(resolver, "b", milliseconds(30)), HasSubstr("does not answer in time"));
    EXPECT_THAT(resolved(resolver, "c", std::chrono::hours(1)), HasSubstr("stuck"));
    EXPECT_EQ(service.askedFor(), 2);
    // It comes back.
    service.answer(true);
    EXPECT_EQ(resolved(resolver, "a"), "192.0.2.1");
    EXPECT_EQ(resolved(resolver, "c"), "192.0.2.1");
}

// More names at once than there are threads, and a service that answers.
TEST(ResolverTest, ManyAskAtOnce) {
    Service service;
    Resolver::Limits limits;
    limits.threads = 2;
    limits.stuck = std::chrono::hours(1);
    limits.names = 10;
    Resolver resolver(limits, service.lookup());
    std::vector<std::thread> threads;
    for (int i = 0; i < 64; ++i) {
        threads.emplace_back([&, i] {
            EXPECT_EQ(resolved(resolver, "host-" + std::to_string(i % 32)), "192.0.2.1");
        });
    }
    for (std::thread& one : threads) one.join();
}

TEST(ResolverTest, KnowsABoundedNumberOfNames) {
    Service service;
    Resolver::Limits limits;
    limits.names = 2;
    Resolver resolver(limits, service.lookup());
    for (const char* host : {"a", "b", "c", "c"}) EXPECT_EQ(resolved(resolver, host), "192.0.2.1");
    EXPECT_EQ(service.askedFor(), 3);
    EXPECT_EQ(resolved(resolver, "a"), "192.0.2.1");
    EXPECT_EQ(service.askedFor(), 4) << "the one that nobody had asked for longest was forgotten";
    EXPECT_EQ(resolved(resolver, "c"), "192.0.2.1");
    EXPECT_EQ(service.askedFor(), 4);
}

TEST(ResolverTest, AnOldAnswerIsBetterThanNone) {
    Service service;
    Resolver::Limits limits;
    limits.fresh = limits.patience = milliseconds(0);
    Resolver resolver(limits, service.lookup());
    EXPECT_EQ(resolved(resolver, "a", std::chrono::minutes(1)), "192.0.2.1");
    // It is dead: nobody waits, and nobody fails.
    service.answer(false);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(resolved(resolver, "a"), "192.0.2.1");
    // It says that it knows nothing at the moment.
    service.answer(true, EAI_AGAIN);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(resolved(resolver, "a"), "192.0.2.1");

    // With patience, what is new counts.
    limits.patience = std::chrono::minutes(1);
    Resolver patient(limits, service.lookup());
    service.answer(true);
    EXPECT_EQ(resolved(patient, "a"), "192.0.2.1");
    service.answer(true, 0, "192.0.2.2");
    EXPECT_EQ(resolved(patient, "a"), "192.0.2.2");
    service.answer(true, EAI_NONAME);
    EXPECT_THAT(resolved(patient, "a"), HasSubstr("not known")) << "that is an answer";
    service.answer(true, EAI_AGAIN);
    EXPECT_THAT(resolved(patient, "a"), HasSubstr("emporary"));
    limits.stale = std::chrono::hours(0);
    Resolver strict(limits, service.lookup());
    service.answer(true);
    EXPECT_EQ(resolved(strict, "a"), "192.0.2.1");
    service.answer(true, EAI_AGAIN);
    EXPECT_THAT(resolved(strict, "a"), HasSubstr("emporary")) << "it is too old";
}

// What is under way when a resolver goes ends by itself.
TEST(ResolverTest, ALookupOutlivesItsResolver) {
    Service service;
    service.answer(false);
    {
        Resolver resolver({}, service.lookup());
        EXPECT_THAT(resolved(resolver, "a", milliseconds(1)), HasSubstr("in time"));
    }
    service.waitUntilAsked(1);
    service.answer(true);
}

StoreLimits brief() {
    StoreLimits limits;
    limits.connect = milliseconds(100);
    limits.total = milliseconds(1000);
    limits.pause = milliseconds(1);
    return limits;
}

// Every store, with the system's own function that does not come back.
TEST(DeadNameServiceTest, EveryStoreEndsWithinItsLimit) {
    std::vector<std::string> stores = {"http://store.dead:1/metadata", "P2PHANDSHAKE"};
#ifdef USE_ETCD
    stores.push_back("etcd://store.dead:1");
#endif
#ifdef USE_REDIS
    stores.push_back("redis://store.dead:1");
#endif
    setAlive(false);
    for (const std::string& one : stores) {
        std::shared_ptr<MetadataStorage> storage;
        ASSERT_TRUE(createMetadataStorage(one, brief(), &storage).ok()) << one;
        const auto begin = Clock::now();
        std::string value;
        const auto result = storage->get("mooncake/ram/node.dead:1", &value);
        storage.reset();
        EXPECT_EQ(result.outcome, Outcome::kFailed) << one;
        EXPECT_THAT(result.error, HasSubstr("name service")) << one;
        // It would be for ever otherwise: nothing has revived it.
        EXPECT_LT(Clock::now() - begin, std::chrono::seconds(60)) << one;
    }
    EXPECT_GT(g_asked, 0);
    setAlive(true);
}

// The same host is asked under its own name, once the service answers, and goes on to be while it
// does not.
TEST(DeadNameServiceTest, AnAddressThatWasFoundIsKept) {
    std::string request;
    ScriptedServer server([&](int fd) {
        request = ScriptedServer::receiveRequest(fd);
        ScriptedServer::sendText(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nv");
    });
    setAlive(true);
    std::shared_ptr<MetadataStorage> storage;
    const std::string host = "kept.dead:" + std::to_string(server.port());
    StoreLimits limits;
    ASSERT_TRUE(createMetadataStorage("http://" + host + "/m", limits, &storage).ok());
    std::string value;
    auto result = storage->get("k", &value);
    EXPECT_TRUE(result.ok()) << result.error;
    EXPECT_THAT(request, HasSubstr("\r\nHost: " + host + "\r\n"));
    setAlive(false);
    result = storage->get("k", &value);
    EXPECT_TRUE(result.ok()) << result.error;
    setAlive(true);
}

// A child of fork has none of its parent's threads, and may find its mutex locked.
TEST(DeadNameServiceTest, AChildHasAResolverOfItsOwn) {
    setAlive(false);
    EXPECT_THAT(resolved(Resolver::ofProcess(), "fork.dead", milliseconds(1)),
                HasSubstr("in time"));
    const pid_t child = fork();
    if (child == 0) {
        Resolver::Addresses addresses;
        g_alive = true;
        // The parent's lookup is still under way, and the child's is another.
        const bool ok = Resolver::ofProcess()
                            .resolve("fork.dead", in(std::chrono::seconds(30)), &addresses)
                            .ok();
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    setAlive(true);
}

// A host with two addresses, of which one is silent: its connections are neither taken nor refused.
TEST(DeadlineSocketTest, AnAddressThatIsSilentLeavesTimeForTheNext) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    socklen_t size = sizeof(address);
    const auto listenAt = [&](const char* host, int backlog) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        EXPECT_EQ(inet_pton(AF_INET, host, &address.sin_addr), 1);
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0) << strerror(errno);
        EXPECT_EQ(listen(fd, backlog), 0);
        EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
        return fd;
    };
    const int silent = listenAt("127.0.0.2", 0);
    // Fills what the kernel takes for it. The last of them gets no answer.
    std::vector<int> waiting;
    for (int i = 0; i < 3; ++i) {
        waiting.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        connect(waiting.back(), reinterpret_cast<sockaddr*>(&address), size);
    }
    const int good = listenAt("127.0.0.1", 8);
    DeadlineSocket socket;
    const auto deadline = in(std::chrono::seconds(6));
    const Status status = socket.connect({"node.two", ntohs(address.sin_port)}, deadline);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_LT(Clock::now(), deadline) << "the silent one had all the time";
    const int taken = accept(good, nullptr, nullptr);
    EXPECT_GE(taken, 0);
    for (const int fd : waiting) close(fd);
    for (const int fd : {silent, good, taken}) close(fd);
}

}  // namespace
}  // namespace mooncake::test
