// SPDX-License-Identifier: Apache-2.0
#include "admin_fixture.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include "admin.h"

namespace mooncake::nvmeof_generic::admin {

namespace fs = std::filesystem;

Json::Value Outcome::json() const {
    Json::Value value;
    std::istringstream text(out);
    std::string errors;
    EXPECT_TRUE(Json::parseFromStream(Json::CharReaderBuilder(), text, &value, &errors))
        << errors << out;
    return value;
}

void putFile(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << content;
}

AdminTest::AdminTest() {
    const std::string root = machine_.path();
    roots_ = {root + "/config", root + "/proc", root + "/sys",
              root + "/dev",    root + "/etc",  root + "/modules"};
    nvmet_ = std::make_shared<FakeNvmet>(roots_.nvmet());
    options_.nvmetRoot = roots_.nvmet();
    options_.devRoot = roots_.dev;
    options_.segment = "shelf";
}

Outcome AdminTest::run(std::vector<std::string> arguments, uid_t euid) const {
    arguments.insert(arguments.begin(), "nvmeof_generic_admin");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::ostringstream out, err;
    const int status =
        admin::run(static_cast<int>(arguments.size()), argv.data(), roots_, euid, out, err);
    return {status, out.str(), err.str()};
}

std::unique_ptr<TargetProcess> AdminTest::startTarget() {
    // Made once: to make them again is to change what another target exports.
    for (const char* name : {"1", "2"}) {
        if (!std::filesystem::exists(file(name))) files_.file(name, 8192);
    }
    if (!fs::exists(roots_.proc)) fs::create_symlink("/proc", roots_.proc);
    auto process = std::make_unique<TargetProcess>([&] {
        auto started = Target::start({"tcp", "ipv4", "127.0.0.1", "4420"}, options_, nvmet_);
        if (!started.ok()) return std::string();
        static std::unique_ptr<Target> kept = started.take();
        for (uint32_t nsid : {1, 2}) {
            if (!kept->addFile(nsid, file(std::to_string(nsid)), 8192).ok()) return std::string();
        }
        return kept->subsystemNqn();
    });
    EXPECT_NE(process->nqn(), "");
    return process;
}

void AdminTest::makeConnection() {
    const std::string subsystem = roots_.sys + "/class/nvme-subsystem/nvme-subsys0";
    putFile(subsystem + "/subsysnqn", std::string(kConnectedNqn) + "\n");
    putFile(subsystem + "/iopolicy", "queue-depth\n");
    fs::create_directories(subsystem + "/nvme0n1");
    for (const auto& [name, state, number] :
         {std::tuple("nvme0", "live", "1"), {"nvme1", "connecting", "2"}}) {
        const std::string controller = subsystem + "/" + name;
        putFile(controller + "/transport", "tcp\n");
        putFile(controller + "/subsysnqn", std::string(kConnectedNqn) + "\n");
        putFile(controller + "/uevent", std::string("NVME_TRADDR=192.0.2.") + number +
                                            "\nNVME_TRSVCID=4420\nNVME_HOST_TRADDR=none\n");
        putFile(controller + "/state", std::string(state) + "\n");
        putFile(controller + "/" + name + "c" + number + "n1/stat",
                "  10 0 16 5 20 0 32 5 0 0 0 0\n");
    }
}

void AdminTest::seeNoProcesses() {
    fs::remove(roots_.proc);
    fs::create_directory(roots_.proc);
}

void AdminTest::makeForeignObjects() {
    const std::string root = roots_.nvmet(), subsystem = root + "/subsystems/" + kForeignNqn;
    const std::string host = root + "/hosts/" + kForeignHost, port = root + "/ports/1";
    for (const std::string& made : {subsystem, subsystem + "/namespaces/1", host, port}) {
        ASSERT_EQ(nvmet_->makeDir(made), 0) << made;
    }
    files_.file("foreign", 12288);
    for (const auto& [path, value] :
         {std::pair{subsystem + "/namespaces/1/device_path", file("foreign")},
          {subsystem + "/namespaces/1/enable", "1"},
          {port + "/addr_trtype", "tcp"},
          {port + "/addr_adrfam", "ipv4"},
          {port + "/addr_traddr", "127.0.0.1"},
          {port + "/addr_trsvcid", "4430"}}) {
        ASSERT_EQ(nvmet_->writeFile(path, value), 0) << path;
    }
    putFile(host + "/dhchap_key", "DHHC-1:00:c2VjcmV0\n");
    ASSERT_EQ(nvmet_->link(host, subsystem + "/allowed_hosts/" + kForeignHost), 0);
    ASSERT_EQ(nvmet_->link(subsystem, port + "/subsystems/any-name"), 0);
}

}  // namespace mooncake::nvmeof_generic::admin
