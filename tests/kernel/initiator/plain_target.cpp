// SPDX-License-Identifier: Apache-2.0
#include "plain_target.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace initiator_test {
namespace {

namespace fs = std::filesystem;

const std::string kRoot = "/sys/kernel/config/nvmet/";

void write(const std::string& file, const std::string& value) {
    std::ofstream stream(file);
    stream << value << std::flush;
    if (!stream) throw std::runtime_error("cannot write '" + value + "' to " + file);
}

}  // namespace

PlainTarget::PlainTarget(TransportAddress address, const std::string& nqn)
    : address_(std::move(address)),
      nqn_(nqn.empty() ? mooncake::nvmeof_generic::newSubsystemNqn() : nqn),
      subsystem_(kRoot + "subsystems/" + nqn_) {
    fs::create_directory(subsystem_);
    write(subsystem_ + "/attr_allow_any_host", "1");
    listenAt(address_);
}

void PlainTarget::listenAt(const TransportAddress& address) {
    std::string port;
    for (int id = 1; port.empty(); ++id) {
        const std::string free = kRoot + "ports/" + std::to_string(id);
        if (fs::create_directory(free)) port = free;
    }
    ports_.push_back(port);
    write(port + "/addr_trtype", address.trtype);
    write(port + "/addr_adrfam", address.adrfam);
    write(port + "/addr_traddr", address.traddr);
    write(port + "/addr_trsvcid", address.trsvcid);
    fs::create_directory_symlink(subsystem_, port + "/subsystems/" + nqn_);
}

void PlainTarget::leave(const TransportAddress& address) {
    for (const std::string& port : ports_) {
        std::ifstream stream(port + "/addr_trsvcid");
        std::string service;
        if (!(stream >> service)) throw std::runtime_error("cannot read " + port);
        if (service == address.trsvcid) fs::remove(port + "/subsystems/" + nqn_);
    }
}

PlainTarget::~PlainTarget() {
    std::error_code ignored;
    for (const std::string& port : ports_) fs::remove(port + "/subsystems/" + nqn_, ignored);
    for (const uint32_t nsid : nsids_) {
        fs::remove(subsystem_ + "/namespaces/" + std::to_string(nsid), ignored);
    }
    if (!host_.empty()) {
        fs::remove(subsystem_ + "/allowed_hosts/" + fs::path(host_).filename().string(), ignored);
        fs::remove(host_, ignored);
    }
    fs::remove(subsystem_, ignored);
    for (const std::string& port : ports_) fs::remove(port, ignored);
}

void PlainTarget::addNamespace(uint32_t nsid, const std::string& path, const std::string& uuid) {
    const std::string dir = subsystem_ + "/namespaces/" + std::to_string(nsid);
    fs::create_directory(dir);
    nsids_.push_back(nsid);
    write(dir + "/device_uuid",
          uuid.empty() ? mooncake::nvmeof_generic::namespaceUuid(nqn_, nsid) : uuid);
    write(dir + "/device_path", path);
    write(dir + "/enable", "1");
}

void PlainTarget::removeNamespace(uint32_t nsid) {
    fs::remove(subsystem_ + "/namespaces/" + std::to_string(nsid));
    std::erase(nsids_, nsid);
}

void PlainTarget::allowOnly(const std::string& hostNqn) {
    host_ = kRoot + "hosts/" + hostNqn;
    fs::create_directory(host_);
    write(subsystem_ + "/attr_allow_any_host", "0");
    fs::create_directory_symlink(host_, subsystem_ + "/allowed_hosts/" + hostNqn);
}

}  // namespace initiator_test
