// SPDX-License-Identifier: Apache-2.0
// Case 28: garbage, truncated, deeply nested and huge descriptors.
#include "metadata_codec.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>

#include <random>

namespace mooncake {
namespace {

using SegmentDesc = TransferMetadata::SegmentDesc;

// As another node of the cluster would publish it.
constexpr char kWire[] =
    R"({"file_buffers":[{"align":4096,"id":1,"path":"/data/a","size":1048576},)"
    R"({"align":0,"id":7,"path":"/dev/nvme0n1","size":18446744073}],)"
    R"("name":"host:1234","nvmeof_generic_trid":{"adrfam":"ipv4",)"
    R"("subnqn":"nqn.2014-08.org.nvmexpress:uuid:1","traddr":"10.0.0.1",)"
    R"("trsvcid":"4420","trtype":"tcp"},"protocol":"nvmeof_generic",)"
    R"("tcp_data_port":0,"timestamp":"2025-01-31 10:00:00.000001"})";

Status decode(const std::string& text) {
    SegmentDesc desc;
    return decodeSegmentDesc(text, &desc);
}

std::string withFiles(const std::string& files) {
    return R"({"name":"n","protocol":"p","file_buffers":)" + files + "}";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

// Members that Mooncake's nodes have not, and ignore.
TEST(SegmentCodecTest, CarriesTheIncarnation) {
    TransferMetadata::SegmentDesc desc, found;
    desc.name = "n";
    desc.protocol = "p";
    EXPECT_EQ(encodeSegmentDesc(desc, "t").find("incarnation"), std::string::npos);
    desc.incarnation = "0123@boot:1:2:3";
    ASSERT_TRUE(decodeSegmentDesc(encodeSegmentDesc(desc, "t"), &found).ok());
    EXPECT_EQ(found.incarnation, desc.incarnation);
    EXPECT_FALSE(decodeSegmentDesc(R"({"name":"n","protocol":"p","incarnation":1})", &found).ok());
    TransferMetadata::RpcMetaDesc rpc{"h", 1, -1, "x"}, found_rpc;
    ASSERT_TRUE(decodeRpcMeta(encodeRpcMeta(rpc), &found_rpc).ok());
    EXPECT_EQ(found_rpc.incarnation, "x");
}

// Whatever the process's time zone: nodes of several share a store.
TEST(SegmentCodecTest, WritesTheTimeInUtc) {
    setenv("TZ", "<+05>-5", 1);
    tzset();
    const auto before = std::chrono::system_clock::now() - std::chrono::seconds(1);
    const std::string text = publicationTime();
    const auto after = std::chrono::system_clock::now() + std::chrono::seconds(1);
    unsetenv("TZ");
    tzset();
    ASSERT_EQ(text.size(), 27u) << text;
    EXPECT_EQ(text.back(), 'Z');
    std::tm time = {};
    ASSERT_NE(strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &time), nullptr) << text;
    const auto said = std::chrono::system_clock::from_time_t(timegm(&time));
    EXPECT_GE(said, before - std::chrono::seconds(1));
    EXPECT_LE(said, after);
}

TEST(SegmentCodecTest, ReadsWhatOtherNodesPublish) {
    SegmentDesc desc;
    ASSERT_TRUE(decodeSegmentDesc(kWire, &desc).ok());
    EXPECT_EQ(desc.name, "host:1234");
    EXPECT_EQ(desc.protocol, "nvmeof_generic");
    EXPECT_EQ(desc.timestamp, "2025-01-31 10:00:00.000001");
    EXPECT_EQ(desc.nvmeof_generic_trid.trtype, "tcp");
    EXPECT_EQ(desc.nvmeof_generic_trid.adrfam, "ipv4");
    EXPECT_EQ(desc.nvmeof_generic_trid.traddr, "10.0.0.1");
    EXPECT_EQ(desc.nvmeof_generic_trid.trsvcid, "4420");
    EXPECT_EQ(desc.nvmeof_generic_trid.subnqn, "nqn.2014-08.org.nvmexpress:uuid:1");
    ASSERT_EQ(desc.file_buffers.size(), 2u);
    EXPECT_EQ(desc.file_buffers[0].id, 1u);
    EXPECT_EQ(desc.file_buffers[0].path, "/data/a");
    EXPECT_EQ(desc.file_buffers[0].size, 1048576u);
    EXPECT_EQ(desc.file_buffers[0].align, 4096u);
    EXPECT_EQ(desc.file_buffers[1].id, 7u);
    EXPECT_EQ(desc.file_buffers[1].size, 18446744073u);
}

// Engines that know but one address find it where it always was.
TEST(SegmentCodecTest, CarriesSeveralAddresses) {
    SegmentDesc desc, found;
    ASSERT_TRUE(decodeSegmentDesc(kWire, &desc).ok());
    EXPECT_TRUE(desc.nvmeof_generic_trids.empty());
    EXPECT_EQ(encodeSegmentDesc(desc, "t").find("nvmeof_generic_trids"), std::string::npos);
    desc.nvmeof_generic_trids = {desc.nvmeof_generic_trid,
                                 {"rdma", "ipv6", "2001:db8::1", "4421", "nqn.other"}};
    ASSERT_TRUE(decodeSegmentDesc(encodeSegmentDesc(desc, "t"), &found).ok());
    EXPECT_EQ(found.nvmeof_generic_trid.traddr, "10.0.0.1");
    ASSERT_EQ(found.nvmeof_generic_trids.size(), 2u);
    EXPECT_EQ(found.nvmeof_generic_trids[0].traddr, "10.0.0.1");
    EXPECT_EQ(found.nvmeof_generic_trids[1].trtype, "rdma");
    EXPECT_EQ(found.nvmeof_generic_trids[1].adrfam, "ipv6");
    EXPECT_EQ(found.nvmeof_generic_trids[1].traddr, "2001:db8::1");
    EXPECT_EQ(found.nvmeof_generic_trids[1].trsvcid, "4421");
    EXPECT_EQ(found.nvmeof_generic_trids[1].subnqn, desc.nvmeof_generic_trid.subnqn)
        << "all are addresses of one subsystem";
}

TEST(SegmentCodecTest, RefusesMalformedAddresses) {
    const std::string one = R"({"trtype":"tcp","adrfam":"ipv4","traddr":"10.0.0.1","trsvcid":"1"})";
    const auto with = [](const std::string& list) {
        return replaced(kWire, "\"name\":", "\"nvmeof_generic_trids\":" + list + ",\"name\":");
    };
    std::string many = "[" + one;
    for (int i = 1; i < 16; ++i) many += "," + one;
    EXPECT_TRUE(decode(with("[]")).ok());
    EXPECT_TRUE(decode(with(many + "]")).ok());
    for (const std::string& list :
         {many + "," + one + "]", one, std::string("null"), std::string("[1]"),
          std::string(R"([{"trtype":"tcp","adrfam":"ipv4","traddr":"10.0.0.1"}])"),
          std::string(R"([{"trtype":"tcp","adrfam":"ipv4","traddr":1,"trsvcid":"1"}])")}) {
        EXPECT_TRUE(decode(with(list)).IsMalformedJson()) << list;
    }
}

// Optional: other engines neither write nor read it.
TEST(SegmentCodecTest, CarriesTheMachine) {
    SegmentDesc desc;
    ASSERT_TRUE(decodeSegmentDesc(kWire, &desc).ok());
    EXPECT_EQ(desc.machine, "");
    EXPECT_EQ(desc.kernel, "");
    EXPECT_EQ(encodeSegmentDesc(desc, "now").find("machine"), std::string::npos);
    EXPECT_EQ(encodeSegmentDesc(desc, "now").find("kernel"), std::string::npos);
    desc.machine = "b3a7c6a4-5f0e-4a52-9d83-1e6f0a2c7d94";
    desc.kernel = "0d1f6b5e-2c7b-4c22-8d0e-6a1f3b9c7e55";
    SegmentDesc read;
    ASSERT_TRUE(decodeSegmentDesc(encodeSegmentDesc(desc, "now"), &read).ok());
    EXPECT_EQ(read.machine, desc.machine);
    EXPECT_EQ(read.kernel, desc.kernel);
    for (const std::string member : {"machine", "kernel"}) {
        const auto with = [&member](const std::string& value) {
            return decode(replaced(kWire, "{", "{\"" + member + "\":" + value + ","));
        };
        for (const char* value : {"1", "null", "[]", "{}", "\"\\u0000\""}) {
            EXPECT_TRUE(with(value).IsMalformedJson()) << member << value;
        }
        EXPECT_TRUE(with("\"" + std::string(1025, 'a') + "\"").IsMalformedJson()) << member;
    }
}

TEST(SegmentCodecTest, WritesWhatItReads) {
    SegmentDesc desc;
    ASSERT_TRUE(decodeSegmentDesc(kWire, &desc).ok());
    EXPECT_EQ(encodeSegmentDesc(desc, desc.timestamp), kWire);
    // Text that JSON must escape, and the largest numbers.
    desc.file_buffers[0] = {UINT32_MAX, "/\"quoted\"\\\n\t\xc3\xa4", INT64_MAX, INT64_MAX};
    SegmentDesc again;
    ASSERT_TRUE(decodeSegmentDesc(encodeSegmentDesc(desc, "now"), &again).ok());
    EXPECT_EQ(again.timestamp, "now");
    EXPECT_EQ(again.file_buffers[0].path, desc.file_buffers[0].path);
    EXPECT_EQ(again.file_buffers[0].id, UINT32_MAX);
    EXPECT_EQ(again.file_buffers[0].size, size_t{INT64_MAX});
    EXPECT_EQ(again.file_buffers[0].align, size_t{INT64_MAX});
}

constexpr char kUuid[] = "01234567-89ab-5def-8000-fedcba987654";

TEST(SegmentCodecTest, AFileMayHaveAUuid) {
    SegmentDesc desc;
    desc.file_buffers.resize(2);
    desc.file_buffers[0].id = 1;
    desc.file_buffers[0].uuid = kUuid;
    desc.file_buffers[1].id = 2;
    const std::string text = encodeSegmentDesc(desc, "now");
    EXPECT_NE(text.find(std::string(R"("uuid":")") + kUuid), std::string::npos) << text;
    EXPECT_EQ(text.find("uuid"), text.rfind("uuid")) << "there is one only";
    SegmentDesc again;
    ASSERT_TRUE(decodeSegmentDesc(text, &again).ok());
    EXPECT_EQ(again.file_buffers.at(0).uuid, kUuid);
    EXPECT_EQ(again.file_buffers.at(1).uuid, "");
}

// What is none counts as none, and the file is there all the same.
TEST(SegmentCodecTest, AStrangeUuidIsNotRead) {
    const std::string uuid = kUuid;
    for (const std::string& value :
         {std::string("7"), std::string("null"), std::string("{}"), std::string("[]"),
          std::string(R"("")"), '"' + uuid + '0' + '"', '"' + uuid.substr(1) + '"',
          '"' + replaced(uuid, "-", "0") + '"', '"' + replaced(uuid, "5", "x") + '"',
          '"' + replaced(uuid, "0", R"(\u0000)") + '"', '"' + std::string(100000, 'a') + '"'}) {
        SegmentDesc desc;
        const std::string file = R"([{"id":1,"path":"/a","size":1,"uuid":)" + value + "}]";
        ASSERT_TRUE(decodeSegmentDesc(withFiles(file), &desc).ok()) << value;
        EXPECT_EQ(desc.file_buffers.at(0).uuid, "") << value;
    }
}

// Whoever publishes a record of another node anew says what that node says.
TEST(SegmentCodecTest, TheNumbersOfThisProcessAreNotPublished) {
    SegmentDesc desc;
    desc.file_buffers.resize(1);
    desc.file_buffers[0].id = 4294967294u;
    desc.file_buffers[0].nsid = 3;
    SegmentDesc again;
    ASSERT_TRUE(decodeSegmentDesc(encodeSegmentDesc(desc, "now"), &again).ok());
    EXPECT_EQ(again.file_buffers.at(0).id, 3u);
    EXPECT_EQ(again.file_buffers.at(0).nsid, 0u);
}

TEST(SegmentCodecTest, ADescriptorWithoutFilesIsAnInitiators) {
    EXPECT_TRUE(decode(R"({"name":"n","protocol":"tcp"})").ok());
    EXPECT_TRUE(decode(withFiles("[]")).ok());
}

TEST(SegmentCodecTest, IgnoresWhatItDoesNotKnow) {
    EXPECT_TRUE(decode(replaced(kWire, "\"name\":", "\"more\":{\"x\":[1,{}]},\"name\":")).ok());
    EXPECT_TRUE(decode(replaced(kWire, "\"id\":1,", "\"id\":1,\"more\":null,")).ok());
}

TEST(SegmentCodecTest, RefusesEveryMissingOrMistypedMember) {
    for (const char* member : {"name", "protocol", "nvmeof_generic_trid", "trtype", "adrfam",
                               "traddr", "trsvcid", "subnqn", "id", "path", "size"}) {
        const std::string key = "\"" + std::string(member) + "\":";
        const Status status = decode(replaced(kWire, key, "\"renamed\":"));
        EXPECT_TRUE(status.IsMalformedJson()) << member;
        EXPECT_NE(status.message().find(member), std::string_view::npos) << status;
    }
    for (const char* member :
         {"name", "protocol", "nvmeof_generic_trid", "trtype", "adrfam", "traddr", "trsvcid",
          "subnqn", "id", "path", "size", "align", "timestamp", "tcp_data_port", "file_buffers"}) {
        for (const char* value : {"null", "true", "{\"a\":1}", "[[1]]", "1.5", "-1e99"}) {
            const std::string key = "\"" + std::string(member) + "\":";
            // The old value becomes that of an unknown member.
            const std::string text = replaced(kWire, key, key + value + ",\"old\":");
            EXPECT_TRUE(decode(text).IsMalformedJson()) << text;
        }
    }
}

TEST(SegmentCodecTest, RefusesNumbersOutOfRange) {
    const auto file = [](const std::string& id, const std::string& size, const std::string& align) {
        return withFiles(R"([{"id":)" + id + R"(,"path":"/a","size":)" + size + R"(,"align":)" +
                         align + "}]");
    };
    EXPECT_TRUE(decode(file("1", "0", "0")).ok());
    EXPECT_TRUE(decode(file("4294967295", "9223372036854775807", "0")).ok());
    for (const char* id : {"0", "-1", "4294967296", "1.5", "99999999999999999999999", "\"1\""}) {
        EXPECT_TRUE(decode(file(id, "1", "1")).IsMalformedJson()) << id;
    }
    for (const char* size :
         {"-1", "9223372036854775808", "18446744073709551616", "1e300", "\"\""}) {
        EXPECT_TRUE(decode(file("1", size, "1")).IsMalformedJson()) << size;
        EXPECT_TRUE(decode(file("1", "1", size)).IsMalformedJson()) << size;
    }
}

TEST(SegmentCodecTest, RefusesTwoFilesWithOneId) {
    EXPECT_TRUE(
        decode(withFiles(R"([{"id":3,"path":"/a","size":1},{"id":3,"path":"/b","size":1}])"))
            .IsMalformedJson());
}

TEST(SegmentCodecTest, BoundsTextAndPaths) {
    const auto path = [](size_t size) {
        return withFiles(R"([{"id":1,"size":1,"path":")" + std::string(size, 'a') + "\"}]");
    };
    EXPECT_TRUE(decode(path(4096)).ok());
    EXPECT_TRUE(decode(path(4097)).IsMalformedJson());
    EXPECT_TRUE(decode(replaced(kWire, "10.0.0.1", std::string(1025, '1'))).IsMalformedJson());
    EXPECT_TRUE(decode(replaced(kWire, "10.0.0.1", "10.0.0.1\\u0000x")).IsMalformedJson());
}

TEST(SegmentCodecTest, BoundsTheNumberOfFiles) {
    std::string files = "[";
    for (size_t id = 1; id <= kMaxFileBuffers; ++id) {
        files += R"({"id":)" + std::to_string(id) + R"(,"path":"/file","size":1,"align":0},)";
    }
    files.back() = ']';
    SegmentDesc desc;
    ASSERT_TRUE(decodeSegmentDesc(withFiles(files), &desc).ok());
    EXPECT_EQ(desc.file_buffers.size(), kMaxFileBuffers);
    // Shorter elements, so that one more is refused for their number and not for the text's size.
    files.back() = ',';
    files += R"({"id":999999,"path":"","size":1}])";
    const Status status = decodeSegmentDesc(withFiles(files), &desc);
    EXPECT_TRUE(status.IsMalformedJson());
    EXPECT_NE(status.message().find("65537 file buffers"), std::string_view::npos) << status;
}

TEST(SegmentCodecTest, BoundsSizeDepthAndNumberOfValues) {
    const std::string good = kWire;
    EXPECT_TRUE(decode(good + std::string(kMaxDescriptorBytes - good.size(), ' ')).ok());
    EXPECT_TRUE(
        decode(good + std::string(kMaxDescriptorBytes - good.size() + 1, ' ')).IsMalformedJson());
    const auto nested = [](size_t levels) {
        return R"({"name":"n","protocol":"p","x":)" + std::string(levels, '[') +
               std::string(levels, ']') + "}";
    };
    EXPECT_TRUE(decode(nested(kMaxJsonDepth - 1)).ok());
    EXPECT_TRUE(decode(nested(kMaxJsonDepth)).IsMalformedJson());
    EXPECT_TRUE(decode(nested(1000000)).IsMalformedJson());
    EXPECT_TRUE(decode(std::string(1000000, '{')).IsMalformedJson());
    std::string many = R"({"name":"n","protocol":"p","x":[0)";
    for (int i = 0; i < 1000000; ++i) many += ",0";
    EXPECT_TRUE(decode(many + "]}").IsMalformedJson());
    // Brackets in text are only text.
    const std::string brackets(kMaxJsonDepth + 1, '[');
    EXPECT_TRUE(
        decode(R"({"name":")" + brackets + R"(\")" + brackets + R"(","protocol":"p"})").ok());
}

TEST(SegmentCodecTest, RefusesWhatIsNoJsonObject) {
    const std::string bad[] = {"",
                               " ",
                               "null",
                               "1",
                               "\"text\"",
                               "[]",
                               "[{}]",
                               "{",
                               "}",
                               "{}",
                               "{\"name\"}",
                               "{'name':1}",
                               "{\"name\":\"n\",\"protocol\":\"p\"} trailing",
                               "{\"name\":\"n\",\"name\":\"m\",\"protocol\":\"p\"}",
                               "{\"name\":\"n\",\"protocol\":\"p\",\"x\":NaN}",
                               "/* */ {\"name\":\"n\",\"protocol\":\"p\"}",
                               "<html>502</html>",
                               std::string(100, '\0'),
                               "\xff\xfe{\"",
                               "{\"name\":\"\\ud800"};
    for (const std::string& text : bad) EXPECT_TRUE(decode(text).IsMalformedJson()) << text;
}

TEST(SegmentCodecTest, RefusesEveryTruncation) {
    const std::string wire = kWire;
    for (size_t size = 0; size < wire.size(); ++size) {
        EXPECT_TRUE(decode(wire.substr(0, size)).IsMalformedJson()) << size;
    }
}

// Mutations of a good descriptor: an answer of either kind, and nothing else, for each of them.
TEST(SegmentCodecTest, SurvivesMutations) {
    std::mt19937 random(20250131);
    const std::string pieces[] = {"{",       "}",
                                  "[",       "]",
                                  ",",       ":",
                                  "\"",      "\\",
                                  "null",    "-",
                                  "1e999",   "18446744073709551616",
                                  "\\u0000", std::string(1, '\0'),
                                  "\xff",    "file_buffers",
                                  "id",      "nvmeof_generic"};
    size_t good = 0;
    for (int round = 0; round < 5000; ++round) {
        std::string text = kWire;
        for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
            const size_t at = random() % text.size();
            switch (random() % 4) {
                case 0:
                    text[at] = static_cast<char>(random());
                    break;
                case 1:
                    text.erase(at, 1 + random() % 8);
                    break;
                case 2:
                    text.insert(at, pieces[random() % std::size(pieces)]);
                    break;
                default:
                    text.insert(random() % text.size(), text.substr(at, random() % 64));
                    break;
            }
            if (text.empty()) text = "x";
        }
        const Status status = decode(text);
        EXPECT_TRUE(status.ok() || status.IsMalformedJson());
        good += status.ok() ? 1 : 0;
        TransferMetadata::RpcMetaDesc rpc;
        EXPECT_TRUE(decodeRpcMeta(text, &rpc).IsMalformedJson());
    }
    EXPECT_GT(good, 0u) << "the mutations are too rough to reach anything behind the parser";
}

TEST(RpcMetaCodecTest, ReadsWhatItWrites) {
    TransferMetadata::RpcMetaDesc rpc{"10.0.0.1", 65535, -1};
    EXPECT_EQ(encodeRpcMeta(rpc), R"({"ip_or_host_name":"10.0.0.1","rpc_port":65535})");
    TransferMetadata::RpcMetaDesc again;
    ASSERT_TRUE(decodeRpcMeta(encodeRpcMeta(rpc), &again).ok());
    EXPECT_EQ(again.ip_or_host_name, "10.0.0.1");
    EXPECT_EQ(again.rpc_port, 65535);
    for (const char* bad : {"{}", R"({"ip_or_host_name":1,"rpc_port":1})",
                            R"({"ip_or_host_name":"a","rpc_port":65536})",
                            R"({"ip_or_host_name":"a","rpc_port":-1})"}) {
        EXPECT_TRUE(decodeRpcMeta(bad, &again).IsMalformedJson()) << bad;
    }
}

}  // namespace
}  // namespace mooncake
