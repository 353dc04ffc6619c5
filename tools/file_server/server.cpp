// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <glog/logging.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "control_socket.h"
#include "file_registry.h"
#include "rehearsal.h"
#include "served_files.h"
#include "server_config.h"
#include "transfer_engine.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

namespace {

constexpr size_t kToldFailures = 3;

std::string summary(const ServerConfig& config, const ServedFiles& files) {
    return "serving " + std::to_string(files.count()) + " of " +
           std::to_string(config.files.size()) + " files as segment " + config.segment;
}

/// What went wrong with the files, a line each; the cause as a look at the file shows it.
/// @param options  what the target was started with
std::vector<std::string> explain(const ServerConfig& config, const ServedFiles::Outcome& outcome,
                                 const nvmeof_generic::TargetOptions& options) {
    std::map<std::string, std::string> causes;
    for (const auto& [path, reason] : outcome.failures) causes[path] = reason;
    ServerConfig failed = config;
    std::erase_if(failed.files, [&](const FileEntry& file) { return !causes.contains(file.path); });
    for (const Finding& finding : rehearseFiles(failed, {}, options)) {
        if (finding.verdict != Verdict::kOk) causes[finding.subject] = finding.message;
    }
    std::vector<std::string> lines;
    for (const auto& [path, why] : causes) {
        lines.push_back(why.find(path) == std::string::npos ? inQuotes(path) + ": " + why : why);
    }
    return lines;
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
    Server(ServerConfig config, nvmeof_generic::TargetOptions options, ServiceSignals& signals,
           ServiceNotice& notice)
        : config_(std::move(config)),
          options_(std::move(options)),
          signals_(signals),
          notice_(notice) {}

    bool start();
    ReloadAnswer reload(const std::string& path);
    bool end();

 private:
    ServedFiles::Outcome apply() {
        return files_.apply(config_.files, [this] { return signals_.stopRequested(); });
    }
    std::string report(const std::vector<std::string>& failures) {
        std::string text = summary(config_, files_);
        LOG(INFO) << text;
        for (size_t i = 0; i < failures.size() && i < kToldFailures; ++i) {
            text += "; " + failures[i];
        }
        if (failures.size() > kToldFailures) {
            text += "; and " + std::to_string(failures.size() - kToldFailures) + " more";
        }
        return text;
    }

    ServerConfig config_;
    const nvmeof_generic::TargetOptions options_;
    ServiceSignals& signals_;
    ServiceNotice& notice_;
    TransferEngine engine_{false};
    EngineRegistry registry_{engine_};
    ServedFiles files_{registry_};
};

bool Server::start() {
    notice_.status("joining the metadata service");
    const auto nameInUse = config_.takeover ? TransferEngine::NameInUse::kTakeOver
                                            : TransferEngine::NameInUse::kRefuse;
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
    // It reads none of its own files, and needs no descriptor of each for that.
    setenv("MC_NVMEOF_GENERIC_LOCAL_ACCESS", "nvmeof", 1);
    // Initiators that wait for this segment find it with its files.
    registry_.beginBatch();
    std::string arguments = transportArguments(config_);
    void* args[] = {arguments.data()};
    if (engine_.installTransport("nvmeof_generic", args) == nullptr) {
        LOG(ERROR) << "cannot serve at " << toString(config_.address) << ": the log above says why";
        return false;
    }
    const ServedFiles::Outcome outcome = apply();
    registry_.endBatch();  // also where there are no files
    if (!registry_.published()) {
        LOG(ERROR) << "segment " << inQuotes(config_.segment)
                   << " cannot be published: the log above says why";
        return false;
    }
    if (config_.strict && outcome.failed != 0) {
        LOG(ERROR) << outcome.failed << " of " << config_.files.size()
                   << " files cannot be served, and strict = yes: the log above says which";
        return false;
    }
    LOG_IF(WARNING, config_.files.empty()) << "the configuration names no file";
    notice_.ready(report(explain(config_, outcome, options_)));
    return true;
}

ReloadAnswer Server::reload(const std::string& path) {
    notice_.reloading();
    auto wanted = readChange(path, config_);
    if (!wanted.ok()) {
        const std::string refusal =
            "the new configuration is refused, and what was served is "
            "served on: " +
            wanted.error().message;
        LOG(ERROR) << refusal;
        notice_.ready(summary(config_, files_) + "; " + refusal);
        return {kWrongConfig, refusal};
    }
    config_ = wanted.take();
    const ServedFiles::Outcome outcome = apply();
    LOG(INFO) << "configuration read again; files: " << outcome.added << " added, "
              << outcome.removed << " taken back, " << outcome.failed << " failed";
    auto failures = explain(config_, outcome, options_);
    if (!registry_.published()) {
        failures.push_back(
            "other nodes do not see all of it yet: the metadata service does not have the record "
            "as it is now, since it does not answer or another process has the segment's name; "
            "the log says which");
        LOG(ERROR) << failures.back();
    }
    notice_.ready(report(failures));
    ReloadAnswer answer{failures.empty() ? kDone : kFailed, ""};
    for (const std::string& failure : failures) answer.text += failure + "\n";
    if (signals_.stopRequested()) answer = {kFailed, "the server was asked to stop meanwhile\n"};
    answer.text += summary(config_, files_);
    return answer;
}

bool Server::end() {
    notice_.stopping();
    LOG(INFO) << "stopping";
    return engine_.freeEngine() == 0;
}

}  // namespace

ExitStatus serve(const std::string& configPath, const std::string& control, bool takeover,
                 ServiceSignals& signals, ServiceNotice& notice) {
    auto config = readConfig(configPath);
    if (!config.ok()) {
        LOG(ERROR) << config.error().message;
        return kWrongConfig;
    }
    ServerConfig wanted = config.take();
    wanted.takeover = wanted.takeover || takeover;
    // The transport decides by the same code, and could not say which of its errors are for good.
    std::optional<nvmeof_generic::TargetOptions> options;
    const Findings findings = rehearseServer(wanted, {}, environ, &options);
    if (isHopeless(findings)) {
        for (const Finding& finding : findings) {
            if (finding.verdict != Verdict::kError) continue;
            LOG(ERROR) << finding.message
                       << (finding.remedy.empty() ? "" : " (" + finding.remedy + ")");
            notice.status(finding.message);
        }
        return kWrongConfig;
    }
    std::unique_ptr<ControlSocket> socket;
    if (!control.empty()) {
        auto listening = ControlSocket::listen(control);
        if (!listening.ok()) {
            LOG(ERROR) << listening.error().message;
            return kFailed;
        }
        socket = listening.take();
    }
    Server server(std::move(wanted), options.value_or(nvmeof_generic::TargetOptions()), signals,
                  notice);
    if (!server.start()) return kFailed;
    while (true) {
        switch (signals.wait(socket ? socket->fd() : -1)) {
            case ServiceSignals::Request::kReload:
                server.reload(configPath);
                break;
            case ServiceSignals::Request::kControl:
                if (const auto asker = socket->accept(); asker.valid()) {
                    ControlSocket::answer(asker, server.reload(configPath));
                }
                break;
            case ServiceSignals::Request::kStop:
                return server.end() ? kDone : kFailed;
        }
    }
}

}  // namespace mooncake::file_server
