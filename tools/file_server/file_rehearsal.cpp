// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "export_list.h"
#include "local_file.h"
#include "number_plan.h"
#include "rehearsal.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/target/bounded_thread.h"
#include "transport/nvmeof_generic_transport/target/file_space.h"
#include "transport/nvmeof_generic_transport/target/judged_file.h"

namespace mooncake::file_server {

using namespace nvmeof_generic;

namespace {

constexpr std::chrono::seconds kServedLimit{5};

const CheckCode& openCode(int code, const std::string& path) {
    switch (code) {
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case ENXIO:
        case ENODEV:
        case ENOMEDIUM:
            return codes::kFileMissing;
        case EACCES:
        case EPERM:
            return codes::kFilePermission;
        case EBUSY:
            return codes::kFileBusy;
        case EROFS:
            return codes::kFileReadOnly;
        case EINVAL: {
            struct stat info;
            const bool fit = ::stat(path.c_str(), &info) == 0 &&
                             (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
            return fit ? codes::kFileSize : codes::kFileKind;
        }
        default:
            return codes::kFileUnusable;
    }
}

// Whether the way to a file leads through folders of others, or is closed to us.
bool isPathRefused(const std::string& path) {
    return !openPath(path, PathCheck::kOn, LastLink::kFollow, "").ok() &&
           openPath(path, PathCheck::kOff, LastLink::kFollow, "").ok();
}

/// Judges one file after the other; each takes what the ones before have left.
class FileJudge {
 public:
    FileJudge(const ServerConfig& config, const Machine& machine, const TargetOptions& options)
        : config_(config), machine_(machine), options_(options) {}

    Finding judge(const FileEntry& entry);

 private:
    Finding fails(const CheckCode& code, const FileEntry& entry, const Error& cause) const {
        return Finding::from(code, entry.path, cause,
                             config_.strict ? Verdict::kError : Verdict::kWarning);
    }
    // A device is held by who serves it: a server of this segment that runs is no obstacle.
    bool servedAlready(const std::string& path);

    const ServerConfig& config_;
    const Machine& machine_;
    const TargetOptions& options_;
    std::map<FileIdentity, std::string> seen_;
    std::map<uint64_t, uint64_t> promised_;        // bytes, by the device of the file system
    std::optional<std::set<std::string>> served_;  // asked of the kernel when it matters
};

bool FileJudge::servedAlready(const std::string& path) {
    if (!served_) served_ = servedFiles(machine_, config_.segment, kServedLimit);
    std::error_code error;
    return served_->contains(std::filesystem::canonical(path, error).string());
}

Finding FileJudge::judge(const FileEntry& entry) {
    if (!entry.mount.empty()) {
        if (auto mounted = checkMounted(entry.mount); !mounted.ok()) {
            return fails(codes::kFileMount, entry, mounted.error());
        }
    }
    const auto size = entry.size ? Result<uint64_t>(*entry.size) : physicalSize(entry.path);
    if (!size.ok()) return fails(openCode(size.error().code, entry.path), entry, size.error());
    const bool judgesPath = entry.pathCheck && options_.pathCheck == PathCheck::kOn;
    const BackingFile::Rules rules{options_.exportBusyDevices, entry.readOnly,
                                   judgesPath ? PathCheck::kOn : PathCheck::kOff};
    JudgedFile::Step step{};
    const auto judged = JudgedFile::open(entry.path, size.value(), rules, &step);
    if (!judged.ok()) {
        const int code = judged.error().code;
        if (code == EACCES && judgesPath && isPathRefused(entry.path)) {
            return fails(codes::kFilePath, entry, judged.error());
        }
        if (code == EBUSY && servedAlready(entry.path)) {
            return Finding::ok(codes::kFile, entry.path, "it is being served");
        }
        return fails(
            step == JudgedFile::Step::kSize ? codes::kFileSize : openCode(code, entry.path), entry,
            judged.error());
    }
    const BackingFile& file = judged.value().file;
    const ExportPlan& plan = judged.value().plan;
    if (const auto [same, added] = seen_.emplace(file.identity(), entry.path); !added) {
        return fails(codes::kFileDuplicate, entry,
                     {EEXIST, "it is the same file as " + inQuotes(same->second)});
    }
    if (!file.identity().blockDevice && !entry.readOnly) {
        uint64_t& promised = promised_[file.identity().device];
        const auto space = checkSpace(file.fd(), plan.size, inQuotes(entry.path), promised);
        if (!space.ok()) return fails(codes::kFileSpace, entry, space.error());
        promised += space.value();
    }
    if ((plan.throughLoop || entry.readOnly) &&
        ::access((machine_.dev + "/loop-control").c_str(), R_OK | W_OK) != 0) {
        return fails(codes::kFileLoop, entry,
                     {errno, std::string(entry.readOnly ? "read-only it" : "a part of it") +
                                 " takes a loop device, and there is no " + machine_.dev +
                                 "/loop-control to be used"});
    }
    if (plan.size != size.value()) {
        return Finding::warning(codes::kFileRounded, entry.path,
                                "only " + std::to_string(plan.size) +
                                    " bytes of it would be served: whole blocks of " +
                                    std::to_string(plan.blockSize) + " bytes");
    }
    return Finding::ok(codes::kFile, entry.path, std::to_string(plan.size) + " bytes");
}

}  // namespace

std::set<std::string> servedFiles(const Machine& machine, const std::string& segment,
                                  std::chrono::milliseconds limit) {
    auto thread = BoundedThread::start("served-files");
    if (!thread.ok()) return {};
    auto found = std::make_shared<std::set<std::string>>();
    thread.value()->run([found, segment, machine] {
        admin::Roots roots;
        roots.configfs = machine.configfs;
        roots.proc = machine.proc;
        roots.sys = machine.sys;
        roots.dev = machine.dev;
        const auto exports = admin::listExports(roots, false);
        if (!exports.ok()) return;
        for (const auto& subsystem : exports.value().subsystems) {
            if (subsystem.segment != segment) continue;
            for (const auto& ns : subsystem.namespaces) {
                if (ns.file) found->insert(*ns.file);
            }
        }
    });
    return thread.value()->endsWithin(limit) ? *found : std::set<std::string>();
}

Findings rehearseNumbers(const ServerConfig& config) {
    Findings found;
    const auto numbers = planNumbers(config.files);
    for (const FileEntry& entry : config.files) {
        const FileBufferID number = numbers.at(entry.path);
        const FileBufferID own = planNumbers({entry}).at(entry.path);
        if (own == number) continue;
        found.push_back(Finding::warning(codes::kFileNumber, entry.path,
                                         "its number is " + std::to_string(number) +
                                             " as long as another file of the " +
                                             "configuration has its own, " + std::to_string(own)));
    }
    return found;
}

Findings rehearseFiles(const ServerConfig& config, const Machine& machine,
                       const TargetOptions& options) {
    Findings found;
    FileJudge judge(config, machine, options);
    for (const FileEntry& entry : config.files) found.push_back(judge.judge(entry));
    return found;
}

}  // namespace mooncake::file_server
