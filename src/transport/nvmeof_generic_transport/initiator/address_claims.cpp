// SPDX-License-Identifier: Apache-2.0
#include "address_claims.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "sysfs_file.h"
#include "sysfs_nvme.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kPrefix[] = "addresses.";
constexpr size_t kMostBytes = 4096;

// Others hold the lock exclusively for moments.
constexpr int kAttempts = 1000;
constexpr std::chrono::milliseconds kPause{1};

// One text for all spellings and orders.
std::string textOf(const TransportAddresses& addresses) {
    std::vector<std::string> lines;
    for (TransportAddress address : addresses) {
        address.traddr = canonicalAddress(address.traddr);
        lines.push_back(toString(address));
    }
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

// A checked NQN has no slash, and may be too long for a name with something in front.
std::string fileOf(const std::string& nqn) {
    constexpr size_t kMostName = 200;
    return kPrefix + (nqn.size() <= kMostName ? nqn : nqn.substr(nqn.size() - kMostName));
}

bool tryLock(int fd, int kind) {
    while (flock(fd, kind | LOCK_NB) != 0) {
        if (errno != EINTR) return false;
    }
    return true;
}

// Whether a file still has this name: its last user has unlinked it otherwise.
bool hasName(const RunFolder& folder, int fd, const std::string& name) {
    struct stat opened {};
    struct stat named {};
    return fstat(fd, &opened) == 0 &&
           fstatat(folder.fd(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

std::string contentOf(int fd) {
    std::string text(kMostBytes, '\0');
    const ssize_t length = pread(fd, text.data(), text.size(), 0);
    text.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
    return text;
}

// With the exclusive lock.
bool setContent(int fd, const std::string& text) {
    return ftruncate(fd, 0) == 0 &&
           pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

std::string inOneLine(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ';');
    return text;
}

Error contradiction(const std::string& nqn, const std::string& known, const std::string& wanted) {
    return makeError(EADDRINUSE,
                     "will not connect to " + nqn + " at " + inOneLine(wanted) +
                         " since this machine uses that NQN at " + inOneLine(known),
                     "one of the two segments is not what its record says: find out which, and end "
                     "the use of the wrong one");
}

}  // namespace

AddressClaims::AddressClaims(std::shared_ptr<const RunFolder> folder) : folder_(std::move(folder)) {
    if (!folder_->valid()) return;
    const auto names = listFolder(folder_->fd(), ".");
    if (!names.ok()) return;
    for (const std::string& name : names.value()) {
        if (!name.starts_with(kPrefix)) continue;
        const UniqueFd file(openat(folder_->fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (file.valid() && tryLock(file.get(), LOCK_EX) && hasName(*folder_, file.get(), name)) {
            unlinkat(folder_->fd(), name.c_str(), 0);
        }
    }
}

AddressClaims::Claim::~Claim() {
    if (!lock_.valid()) return;
    // The last user; who has opened it meanwhile sees that it has no name any more.
    if (tryLock(lock_.get(), LOCK_EX) && hasName(*folder_, lock_.get(), file_)) {
        unlinkat(folder_->fd(), file_.c_str(), 0);
    }
}

Result<std::shared_ptr<const AddressClaims::Claim>> AddressClaims::take(
    const std::string& subsystemNqn, const TransportAddresses& addresses) {
    const std::string wanted = textOf(addresses);
    const std::lock_guard guard(mutex_);
    std::erase_if(claims_, [](const auto& known) { return known.second.expired(); });
    if (const auto known = claims_.find(subsystemNqn); known != claims_.end()) {
        if (auto claim = known->second.lock()) {
            if (claim->addresses_ == wanted) return claim;
            return contradiction(subsystemNqn, claim->addresses_, wanted);
        }
    }
    std::shared_ptr<Claim> claim(new Claim(folder_, fileOf(subsystemNqn), wanted));
    const auto done = [&]() -> Result<std::shared_ptr<const Claim>> {
        claims_[subsystemNqn] = claim;
        return std::shared_ptr<const Claim>(claim);
    };
    if (!folder_->valid()) return done();
    std::string known;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        auto file = ProcessFd::open([&] {
            constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
            return openat(folder_->fd(), claim->file_.c_str(), kFlags, S_IRUSR | S_IWUSR);
        });
        if (!file.valid())
            return makeError(errno,
                             "cannot open " + claim->file_ + " in the folder nvmeof_generic");
        const bool alone = tryLock(file.get(), LOCK_EX);
        const bool shared = !alone && tryLock(file.get(), LOCK_SH);
        if ((alone || shared) && hasName(*folder_, file.get(), claim->file_)) {
            if (alone && !setContent(file.get(), wanted)) {
                return makeError(errno,
                                 "cannot write " + claim->file_ + " in the folder nvmeof_generic");
            }
            // Another one may take it exclusively between the two, and write what it wants.
            if (alone && !tryLock(file.get(), LOCK_SH)) continue;
            known = contentOf(file.get());
            if (known == wanted && hasName(*folder_, file.get(), claim->file_)) {
                claim->lock_ = std::move(file);
                return done();
            }
            if (shared && !known.empty()) return contradiction(subsystemNqn, known, wanted);
        }
        file.reset();
        std::this_thread::sleep_for(kPause);
    }
    return makeError(ETIMEDOUT, "cannot lock " + claim->file_ + " in the folder nvmeof_generic",
                     "another process of this machine keeps it");
}

}  // namespace mooncake::nvmeof_generic
