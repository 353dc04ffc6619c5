// SPDX-License-Identifier: Apache-2.0
#include "descriptor_check.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "machine_identity.h"

namespace mooncake::nvmeof_generic {
namespace {

const MachineIdentity kHere = machineIdentity("boot", "1");

TransferMetadata::SegmentDesc goodDescriptor() {
    TransferMetadata::SegmentDesc descriptor;
    descriptor.name = "node-1";
    descriptor.protocol = "nvmeof_generic";
    descriptor.nvmeof_generic_trid = {"tcp", "ipv4", "192.0.2.1", "4420",
                                      "nqn.2026-01.org.example:a"};
    descriptor.file_buffers = {{1, "/a", 4096, 4096}, {4294967294u, "/b", 1ull << 40, 512}};
    return descriptor;
}

TEST(DescriptorCheck, TakesOverWhatIsRight) {
    const auto checked = checkDescriptor(goodDescriptor(), {}, kHere);
    ASSERT_TRUE(checked.ok()) << checked.error().message;
    EXPECT_EQ(checked.value().subsystemNqn, "nqn.2026-01.org.example:a");
    EXPECT_EQ(checked.value().addresses,
              (TransportAddresses{{"tcp", "ipv4", "192.0.2.1", "4420"}}));
    EXPECT_TRUE(checked.value().numbersLast) << "this engine's do";
    const RemoteFiles& files = checked.value().files;
    ASSERT_EQ(files.size(), 2u);
    EXPECT_EQ(files.at(1).size, 4096u);
    EXPECT_EQ(files.at(1).nsid, 1u);
    EXPECT_EQ(files.at(1).path, "/a");
    EXPECT_EQ(files.at(4294967294u).size, 1ull << 40);
}

TransferMetadata::FileBufferDesc fileWith(uint32_t id, const std::string& path,
                                          const std::string& uuid, uint64_t size = 4096) {
    TransferMetadata::FileBufferDesc file;
    file.id = id;
    file.path = path;
    file.size = size;
    file.uuid = uuid;
    return file;
}

RemoteFiles checkedFiles(const std::vector<TransferMetadata::FileBufferDesc>& files) {
    auto descriptor = goodDescriptor();
    descriptor.file_buffers = files;
    const auto checked = checkDescriptor(descriptor, {}, kHere);
    EXPECT_TRUE(checked.ok()) << checked.error().message;
    return checked.value().files;
}

TEST(DescriptorCheck, AFileIsItsUuidOrItsPathAndSize) {
    const auto before = checkedFiles({fileWith(1, "/a", "u"), fileWith(2, "/b", "")});
    const auto renamed = checkedFiles({fileWith(5, "/c", "u", 8192), fileWith(6, "/b", "")});
    EXPECT_EQ(renamed.at(5).identity, before.at(1).identity);
    EXPECT_EQ(renamed.at(6).identity, before.at(2).identity);
    const auto others = checkedFiles({fileWith(1, "/a", "v"), fileWith(2, "/b", "", 8192)});
    EXPECT_NE(others.at(1).identity, before.at(1).identity);
    EXPECT_NE(others.at(2).identity, before.at(2).identity);
}

// Nobody may guess which of the two it was.
TEST(DescriptorCheck, AUuidThatTwoFilesHaveIsNobodys) {
    const auto once = checkedFiles({fileWith(1, "/a", "u")});
    const auto twice = checkedFiles({fileWith(1, "/a", "u"), fileWith(2, "/b", "u")});
    EXPECT_NE(twice.at(1).identity, twice.at(2).identity);
    EXPECT_NE(twice.at(1).identity, once.at(1).identity);
    const auto again = checkedFiles({fileWith(2, "/b", "u"), fileWith(1, "/a", "u")});
    EXPECT_EQ(again.at(1).identity, twice.at(1).identity);
    EXPECT_EQ(again.at(2).identity, twice.at(2).identity);
    const auto swapped = checkedFiles({fileWith(2, "/a", "u"), fileWith(1, "/b", "u")});
    EXPECT_NE(swapped.at(1).identity, twice.at(1).identity);
    EXPECT_NE(swapped.at(1).identity, twice.at(2).identity);
}

TEST(DescriptorCheck, TheNsidIsWhatTheEngineSays) {
    auto moved = fileWith(1, "/a", "u"), beyond = fileWith(2, "/b", "v");
    moved.nsid = 7;
    moved.nsid_is_its_too = true;
    beyond.nsid = UINT32_MAX;
    const auto files = checkedFiles({moved, beyond});
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files.at(1).nsid, 7u);
    EXPECT_TRUE(files.at(1).nsidIsItsToo);
}

// Cases 25 and 28: what a stranger wrote into the metadata service reaches no system call.
TEST(DescriptorCheck, RefusesHostileSegments) {
    const auto refused = [](auto change) {
        auto descriptor = goodDescriptor();
        change(descriptor);
        const auto checked = checkDescriptor(descriptor, {}, kHere);
        return !checked.ok() && checked.error().code == EINVAL &&
               checked.error().message.find("node-1") != std::string::npos;
    };
    EXPECT_TRUE(refused([](auto& d) { d.protocol = "rdma"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.traddr = "192.0.2.1,hostnqn=x"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.traddr = "evil.example.org"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.trtype = "loop"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.trsvcid = "0"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.subnqn = ""; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.subnqn += ",x=y"; }));
    EXPECT_TRUE(refused([](auto& d) { d.file_buffers.resize(1025, {1, "/a", 4096, 4096}); }));
}

TEST(DescriptorCheck, AnAddressOutsideOfTheAllowedNetworksIsRefused) {
    const auto allowed = NetworkList::parse("198.51.100.0/24,192.0.2.0/24");
    const auto others = NetworkList::parse("198.51.100.0/24,fd00::/8");
    ASSERT_TRUE(allowed.ok() && others.ok());
    EXPECT_TRUE(checkDescriptor(goodDescriptor(), allowed.value(), kHere).ok());
    const auto refused = checkDescriptor(goodDescriptor(), others.value(), kHere);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, EACCES);
    EXPECT_NE(refused.error().message.find("192.0.2.1"), std::string::npos);
    EXPECT_NE(refused.error().message.find("ALLOWED_NETWORKS"), std::string::npos);
}

TEST(DescriptorCheck, ABadFileIsLeftOutAlone) {
    auto descriptor = goodDescriptor();
    descriptor.file_buffers.push_back({0, "/zero-id", 4096, 4096});
    descriptor.file_buffers.push_back({UINT32_MAX, "/broadcast-id", 4096, 4096});
    descriptor.file_buffers.push_back({5, "/empty", 0, 4096});
    descriptor.file_buffers.push_back({6, "/huge", UINT64_MAX, 4096});
    descriptor.file_buffers.push_back({7, "/twice", 4096, 4096});
    descriptor.file_buffers.push_back({7, "/twice", 8192, 4096});
    descriptor.file_buffers.push_back({7, "/thrice", 8192, 4096});
    const auto checked = checkDescriptor(descriptor, {}, kHere);
    ASSERT_TRUE(checked.ok()) << checked.error().message;
    EXPECT_EQ(checked.value().files.size(), 2u);
    EXPECT_TRUE(checked.value().files.contains(1));
    EXPECT_TRUE(checked.value().files.contains(4294967294u));
}

// Each is judged; the first is the one that other engines know.
TEST(DescriptorCheck, TakesSeveralAddresses) {
    auto descriptor = goodDescriptor();
    const auto first = descriptor.nvmeof_generic_trid;
    auto second = first;
    second.traddr = "198.51.100.1";
    descriptor.nvmeof_generic_trids = {first, second};
    const auto checked = checkDescriptor(descriptor, {}, kHere);
    ASSERT_TRUE(checked.ok()) << checked.error().message;
    EXPECT_EQ(checked.value().addresses,
              (TransportAddresses{{"tcp", "ipv4", "192.0.2.1", "4420"},
                                  {"tcp", "ipv4", "198.51.100.1", "4420"}}));
    const auto codeOf = [&](const std::vector<TransferMetadata::NVMeoFGenericTrid>& trids,
                            const char* networks = "") {
        auto changed = descriptor;
        changed.nvmeof_generic_trids = trids;
        NetworkList allowed;
        if (*networks != '\0') allowed = NetworkList::parse(networks).take();
        const auto result = checkDescriptor(changed, allowed, kHere);
        return result.ok() ? 0 : result.error().code;
    };
    EXPECT_EQ(codeOf({second, first}), EINVAL) << "another first";
    EXPECT_EQ(codeOf({second}), EINVAL);
    EXPECT_EQ(codeOf({first, first}), EINVAL) << "twice";
    for (const char* bad : {"0.0.0.0", "169.254.1.1", "evil.example.org", "198.51.100.1,x=y"}) {
        auto third = second;
        third.traddr = bad;
        EXPECT_EQ(codeOf({first, second, third}), EINVAL) << bad;
    }
    EXPECT_EQ(codeOf({first, second}, "192.0.2.0/24"), EACCES);
    EXPECT_EQ(codeOf({first, second}, "192.0.2.0/24,198.51.100.0/24"), 0);
}

// What means another place on each machine leads nobody to a wrong one.
TEST(DescriptorCheck, AnAddressMustLeadToTheSegmentsNode) {
    const auto error = [](const std::string& family, const std::string& address,
                          const std::string& machine) {
        auto descriptor = goodDescriptor();
        descriptor.nvmeof_generic_trid.adrfam = family;
        descriptor.nvmeof_generic_trid.traddr = address;
        descriptor.machine = machine;
        const auto checked = checkDescriptor(descriptor, {}, kHere);
        if (checked.ok()) return std::string();
        EXPECT_EQ(checked.error().code, EINVAL);
        return checked.error().message;
    };
    const std::string elsewhere = machineIdentity("other boot", "1").machine;
    for (const auto& [family, address] : {std::pair("ipv4", "127.0.0.1"),
                                          {"ipv4", "127.8.9.1"},
                                          {"ipv6", "::1"},
                                          {"ipv6", "::ffff:127.0.0.1"}}) {
        EXPECT_EQ(error(family, address, kHere.machine), "") << address;
        EXPECT_EQ(error(family, address, ""), "") << address << ", of an engine that does not say";
        for (const auto& other : {elsewhere, machineIdentity("boot", "2").machine}) {
            const std::string refused = error(family, address, other);
            EXPECT_NE(refused.find("the record of segment 'node-1' gives the address " +
                                   std::string(address) + " of its own machine"),
                      std::string::npos)
                << refused;
        }
    }
    for (const auto& [family, address] : {std::pair("ipv4", "0.0.0.0"),
                                          {"ipv4", "0.1.2.3"},
                                          {"ipv4", "169.254.1.1"},
                                          {"ipv6", "::"},
                                          {"ipv6", "fe80::1"},
                                          {"ipv6", "fe80::1%eth0"},
                                          {"ipv6", "2001:db8::1%eth0"},
                                          {"ipv6", "::ffff:0.0.0.0"}}) {
        for (const auto& machine : {kHere.machine, elsewhere, std::string()}) {
            EXPECT_NE(error(family, address, machine).find("other hosts reach"), std::string::npos)
                << address;
        }
    }
    EXPECT_EQ(error("ipv4", "192.0.2.1", elsewhere), "");
    EXPECT_EQ(error("ipv6", "2001:db8::1", elsewhere), "");
}

// Only what both say counts.
TEST(DescriptorCheck, TellsAnotherKernel) {
    const auto onAnother = [](const std::string& theirs, const MachineIdentity& here) {
        auto descriptor = goodDescriptor();
        descriptor.kernel = theirs;
        return checkDescriptor(descriptor, {}, here).value().onAnotherKernel;
    };
    EXPECT_FALSE(onAnother(kHere.kernel, kHere));
    EXPECT_FALSE(onAnother(machineIdentity("boot", "2").kernel, kHere)) << "of a container";
    EXPECT_TRUE(onAnother(machineIdentity("other boot", "1").kernel, kHere));
    EXPECT_FALSE(onAnother("", kHere));
    EXPECT_FALSE(onAnother(machineIdentity("other boot", "1").kernel, {}));
}

TEST(MachineIdentity, IsOneForAMachineAndANetwork) {
    const MachineIdentity own = machineIdentity();
    EXPECT_EQ(own.machine.size(), 36u);
    EXPECT_EQ(own.kernel.size(), 36u);
    EXPECT_EQ(own, machineIdentity());
    EXPECT_NE(machineIdentity("a", "1").machine, machineIdentity("a", "2").machine);
    EXPECT_NE(machineIdentity("a", "1").machine, machineIdentity("b", "1").machine);
    EXPECT_EQ(machineIdentity("a", "1").kernel, machineIdentity("a", "2").kernel);
    EXPECT_NE(machineIdentity("a", "1").kernel, machineIdentity("b", "1").kernel);
    EXPECT_EQ(machineIdentity("", "1"), MachineIdentity{});
    EXPECT_EQ(machineIdentity("a", "").machine, "");
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
