// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <glog/logging.h>

#include <cerrno>
#include <ostream>
#include <utility>

#include "file_registry.h"
#include "local_file.h"
#include "served_files.h"
#include "transfer_engine.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

namespace {

using nvmeof_generic::makeError;

std::string summary(const ServerConfig& config, const ServedFiles& files) {
    return "serving " + std::to_string(files.count()) + " of " +
           std::to_string(config.files.size()) + " files as segment " + config.segment;
}

Result<> checkFile(const FileEntry& file) {
    if (!file.mount.empty()) {
        if (auto mounted = checkMounted(file.mount); !mounted.ok()) return mounted;
    }
    auto size = physicalSize(file.path);
    if (!size.ok()) return size.error();
    if (file.size && *file.size > size.value()) {
        return makeError(EINVAL, "cannot serve " + inQuotes(file.path),
                         "it has " + std::to_string(size.value()) + " bytes, fewer than the " +
                             std::to_string(*file.size) + " that shall be served");
    }
    return {};
}

/// Reads the configuration anew; what cannot be taken over leaves everything as it is.
Result<ServerConfig> readChange(const std::string& path, const ServerConfig& current) {
    auto wanted = readConfig(path);
    if (!wanted.ok()) return wanted;
    if (const auto change = findFixedChange(current, wanted.value())) {
        return Error{EINVAL, inQuotes(path) + ": " + *change};
    }
    return wanted;
}

class Server {
 public:
    Server(ServerConfig config, ServiceSignals& signals, ServiceNotice& notice)
        : config_(std::move(config)), signals_(signals), notice_(notice) {}

    bool start();
    void reload(const std::string& path);
    bool end();

 private:
    ServedFiles::Outcome apply() {
        return files_.apply(config_.files, [this] { return signals_.stopRequested(); });
    }
    std::string report() {
        const std::string text = summary(config_, files_);
        LOG(INFO) << text;
        return text;
    }

    ServerConfig config_;
    ServiceSignals& signals_;
    ServiceNotice& notice_;
    TransferEngine engine_{false};
    EngineRegistry registry_{engine_};
    ServedFiles files_{registry_};
};

bool Server::start() {
    notice_.status("joining the metadata service");
    const auto nameInUse =
        config_.takeover ? TransferEngine::NameInUse::kTakeOver : TransferEngine::NameInUse::kRefuse;
    const int rc = engine_.init(config_.metadata, config_.segment, "", 12345, nameInUse);
    if (rc == ERR_ADDRESS_OVERLAPPED) {
        LOG(ERROR) << "segment " << inQuotes(config_.segment)
                   << " is another process's, which runs: the log above says whose; end that one, "
                      "name this segment otherwise, or take the name over with --takeover";
        return false;
    }
    if (rc != 0) {
        LOG(ERROR) << "cannot join the metadata service as " << inQuotes(config_.segment)
                   << " (error " << rc << "): the log above says why";
        return false;
    }
    std::string arguments = transportArguments(config_);
    void* args[] = {arguments.data()};
    if (engine_.installTransport("nvmeof_generic", args) == nullptr) {
        LOG(ERROR) << "cannot serve at " << toString(config_.address) << ": the log above says why";
        return false;
    }
    const ServedFiles::Outcome outcome = apply();
    if (config_.strict && outcome.failed != 0) {
        LOG(ERROR) << outcome.failed << " of " << config_.files.size()
                   << " files cannot be served, and strict = yes: the log above says which";
        return false;
    }
    LOG_IF(WARNING, config_.files.empty()) << "the configuration names no file";
    notice_.ready(report());
    return true;
}

void Server::reload(const std::string& path) {
    notice_.reloading();
    auto wanted = readChange(path, config_);
    if (!wanted.ok()) {
        const std::string refusal =
            "the new configuration is refused, and what was served is "
            "served on: " +
            wanted.error().message;
        LOG(ERROR) << refusal;
        notice_.ready(summary(config_, files_) + "; " + refusal);
        return;
    }
    config_ = wanted.take();
    const ServedFiles::Outcome outcome = apply();
    LOG(INFO) << "configuration read again; files: " << outcome.added << " added, "
              << outcome.removed << " taken back, " << outcome.failed << " failed";
    notice_.ready(report());
}

bool Server::end() {
    notice_.stopping();
    LOG(INFO) << "stopping";
    return engine_.freeEngine() == 0;
}

}  // namespace

ExitStatus check(const std::string& configPath, std::ostream& out, std::ostream& err) {
    const auto config = readConfig(configPath);
    if (!config.ok()) {
        err << config.error().message << '\n';
        return kWrongConfig;
    }
    size_t failed = 0;
    for (const FileEntry& file : config.value().files) {
        const auto checked = checkFile(file);
        if (checked.ok()) continue;
        err << checked.error().message << '\n';
        ++failed;
    }
    out << configPath << " is right; " << config.value().files.size() - failed << " of "
        << config.value().files.size() << " files can be served\n";
    return failed != 0 && config.value().strict ? kFailed : kDone;
}

ExitStatus serve(const std::string& configPath, bool takeover, ServiceSignals& signals,
                 ServiceNotice& notice) {
    auto config = readConfig(configPath);
    if (!config.ok()) {
        LOG(ERROR) << config.error().message;
        return kWrongConfig;
    }
    ServerConfig wanted = config.take();
    wanted.takeover = wanted.takeover || takeover;
    Server server(std::move(wanted), signals, notice);
    if (!server.start()) return kFailed;
    while (signals.wait() == ServiceSignals::Request::kReload) server.reload(configPath);
    return server.end() ? kDone : kFailed;
}

}  // namespace mooncake::file_server
