// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "file_pattern.h"

namespace initiator_test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

void InitiatorKernelTest::SetUp() {
    const char* parent = std::getenv("NVMEOF_TEST_DIR");
    ASSERT_NE(parent, nullptr) << "run it with scripts/vm/run_test.sh";
    std::string pattern = std::string(parent) + "/initiator.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr) << std::strerror(errno);
    dir_ = pattern;
    controllersBefore_ = controllers();
    target = std::make_unique<PlainTarget>(kLoopback);
    target->addNamespace(kNsid, makeBackingFile("file"));
}

void InitiatorKernelTest::TearDown() {
    EXPECT_EQ(controllers(), controllersBefore_);
    target.reset();
    if (!dir_.empty()) fs::remove_all(dir_);
}

InitiatorOptions InitiatorKernelTest::options() {
    InitiatorOptions options;
    options.connectTimeout = 60s;  // an emulated machine is slow
    options.hostNqn = kHostNqn;
    return options;
}

std::unique_ptr<Initiator> InitiatorKernelTest::makeInitiator(const InitiatorOptions& options) {
    auto created = Initiator::create(options);
    if (!created.ok()) throw std::runtime_error(created.error().message);
    return created.take();
}

std::string InitiatorKernelTest::makeBackingFile(const std::string& name) const {
    const std::string path = dir_ + "/" + name;
    test_support::makeFile(path, kFileBytes);
    return path;
}

std::string InitiatorKernelTest::folder(const std::string& name) const {
    fs::create_directories(dir_ + "/" + name);
    return dir_ + "/" + name;
}

Result<RemoteNamespace> InitiatorKernelTest::open(Initiator& initiator,
                                                  const Connection& connection, uint32_t nsid,
                                                  uint64_t size) {
    return initiator.openNamespace(connection, nsid, size, O_DIRECT,
                                   std::chrono::steady_clock::now() + 60s);
}

std::set<std::string> controllers() {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator("/sys/class/nvme")) {
        names.insert(entry.path().filename());
    }
    return names;
}

std::string attribute(const std::string& controller, const std::string& name) {
    std::ifstream stream("/sys/class/nvme/" + controller + "/" + name);
    std::string text;
    std::getline(stream, text);
    return text;
}

void deleteController(const std::string& name) {
    std::ofstream stream("/sys/class/nvme/" + name + "/delete_controller");
    stream << "1" << std::flush;
    if (!stream) throw std::runtime_error("cannot delete " + name);
}

std::string connectByHand(const PlainTarget& target, const std::string& hostNqn,
                          const std::string& hostId) {
    const TransportAddress& address = target.address();
    const std::string text = "nqn=" + target.nqn() + ",transport=" + address.trtype +
                             ",traddr=" + address.traddr + ",trsvcid=" + address.trsvcid +
                             ",hostnqn=" + hostNqn + ",hostid=" + hostId;
    const UniqueFd fabrics(::open("/dev/nvme-fabrics", O_RDWR | O_CLOEXEC));
    char answer[128] = {};
    int instance = 0;
    if (write(fabrics.get(), text.data(), text.size()) < 0 ||
        read(fabrics.get(), answer, sizeof(answer) - 1) < 0 ||
        std::sscanf(answer, "instance=%d", &instance) != 1) {
        throw std::runtime_error(text + ": " + std::strerror(errno));
    }
    return "nvme" + std::to_string(instance);
}

bool eventually(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

void exchangeData(int fd, const std::string& file, uint64_t seed) {
    using namespace test_support;  // NOLINT: patterns
    constexpr size_t kLength = 128 << 10;
    constexpr uint64_t kWritten = 1 << 20;
    constexpr uint64_t kRead = 3 << 20;
    AlignedBuffer buffer(kLength);
    fillPattern(seed, kWritten, buffer.data(), kLength);
    ASSERT_EQ(pwrite(fd, buffer.data(), kLength, kWritten), static_cast<ssize_t>(kLength));
    const std::vector<uint8_t> there = readDirect(file, kWritten, kLength);
    EXPECT_EQ(comparePattern(seed, kWritten, there.data(), kLength), "");

    fillPattern(seed + 1, kRead, buffer.data(), kLength);
    writeDirect(file, kRead, buffer.data(), kLength);
    std::memset(buffer.data(), 0, kLength);
    ASSERT_EQ(pread(fd, buffer.data(), kLength, kRead), static_cast<ssize_t>(kLength));
    EXPECT_EQ(comparePattern(seed + 1, kRead, buffer.data(), kLength), "");
}

}  // namespace initiator_test
