// SPDX-License-Identifier: Apache-2.0
// Who has to go where there are too many connections, and which addresses are one peer's.
#include "connection_crowd.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

namespace mooncake::test {
namespace {

using Stage = ConnectionCrowd::Stage;
using std::chrono::milliseconds;

sockaddr_storage addressOf(const std::string& text) {
    sockaddr_storage address = {};
    auto& four = reinterpret_cast<sockaddr_in&>(address);
    auto& six = reinterpret_cast<sockaddr_in6&>(address);
    if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
    } else {
        EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &six.sin6_addr), 1) << text;
        six.sin6_family = AF_INET6;
    }
    return address;
}

PeerKey peer(const std::string& text) {
    return peerKeyOf(addressOf(text));
}

ConnectionCrowd::Time at(int millisecond) {
    return ConnectionCrowd::Time(milliseconds(1000000 + millisecond));
}

TEST(PeerAddressTest, CountsWhatOneHostCanChooseAmongAsOne) {
    EXPECT_NE(peer("192.0.2.1"), peer("192.0.2.2"));
    EXPECT_EQ(peer("192.0.2.1"), peer("::ffff:192.0.2.1"));
    EXPECT_EQ(peer("2001:db8:0:1::1"), peer("2001:db8:0:1:ffff::2"));
    EXPECT_NE(peer("2001:db8:0:1::1"), peer("2001:db8:0:2::1"));
    EXPECT_NE(peer("192.0.2.1"), peer("::1"));
    EXPECT_EQ(peerText(addressOf("::ffff:192.0.2.1")), "192.0.2.1");
    EXPECT_EQ(peerText(addressOf("2001:db8::1")), "2001:db8::1");
    EXPECT_EQ(peerText({}), "?");
}

TEST(ConnectionCrowdTest, TheOldestSilentOneOfTheGreediestPeerGoes) {
    ConnectionCrowd crowd({.connections = 5, .per_peer = 4, .grace = milliseconds(10)});
    const PeerKey greedy = peer("192.0.2.1"), modest = peer("192.0.2.2");
    EXPECT_TRUE(crowd.placeFor(greedy).free);
    crowd.add(1, modest, at(0));
    for (int id = 2; id <= 5; ++id) crowd.add(static_cast<uint64_t>(id), greedy, at(id));
    for (const PeerKey& newcomer : {greedy, modest, peer("192.0.2.3")}) {
        const auto place = crowd.placeFor(newcomer);
        EXPECT_FALSE(place.free);
        EXPECT_EQ(place.victim, 2u) << "older is the modest one's";
        EXPECT_EQ(place.from, at(12)) << "it has 10 ms in which to ask";
    }
    crowd.remove(2);
    EXPECT_TRUE(crowd.placeFor(greedy).free);
}

TEST(ConnectionCrowdTest, APeerMakesRoomForItselfAlone) {
    ConnectionCrowd crowd({.connections = 100, .per_peer = 2, .grace = milliseconds(10)});
    const PeerKey one = peer("2001:db8::1"), other = peer("2001:db9::1");
    for (int id = 1; id <= 9; ++id) crowd.add(static_cast<uint64_t>(id), other, at(id));
    crowd.add(20, one, at(20));
    EXPECT_TRUE(crowd.placeFor(one).free);
    crowd.add(21, one, at(21));
    EXPECT_EQ(crowd.placeFor(peer("2001:db8::2")).victim, 20u);
    EXPECT_TRUE(crowd.placeFor(peer("192.0.2.3")).free);
}

TEST(ConnectionCrowdTest, WhoIsIdleGoesFirstAndWhoIsAnsweredLast) {
    ConnectionCrowd crowd({.connections = 4, .per_peer = 4, .grace = milliseconds(10)});
    const PeerKey one = peer("127.0.0.1");
    for (int id = 1; id <= 4; ++id) crowd.add(static_cast<uint64_t>(id), one, at(id));
    crowd.move(1, Stage::kAnswered, at(5));
    crowd.move(2, Stage::kAnswered, at(6));
    crowd.move(4, Stage::kIdle, at(7));
    auto place = crowd.placeFor(one);
    EXPECT_EQ(place.victim, 4u);
    EXPECT_LE(place.from, at(0)) << "nothing is cut off in the middle";
    crowd.move(4, Stage::kAnswered, at(8));
    EXPECT_EQ(crowd.placeFor(one).victim, 3u);
    crowd.move(3, Stage::kAnswered, at(9));
    // The stage that it has does not make it younger.
    crowd.move(1, Stage::kAnswered, at(100));
    place = crowd.placeFor(one);
    EXPECT_EQ(place.victim, 1u);
    EXPECT_EQ(place.from, at(15));
    crowd.move(77, Stage::kIdle, at(0));
    crowd.remove(77);
    EXPECT_EQ(crowd.size(), 4u);
}

}  // namespace
}  // namespace mooncake::test
