// SPDX-License-Identifier: Apache-2.0
#include "machine_turn.h"

#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

// The kernel gives a command of a connect 60 s (nvme_core.admin_timeout): who has been in it longer
// is not in it.
constexpr auto kStuck = 90s;

// How long a target of good standing waits for a process in front of it. Then it queues up in the
// kernel, where nothing can end its wait, but where it is the next, too.
constexpr auto kPatience = 3s;

// How long a suspicious one lets others go first, who may be stopped.
constexpr auto kCourtesy = 8s;

bool tryLock(const UniqueFd& file, int kind) {
    return flock(file.get(), kind | LOCK_NB) == 0;
}

}  // namespace

MachineTurn::MachineTurn(std::shared_ptr<const RunFolder> folder)
    : folder_(std::move(folder)),
      connecting_(folder_->openFile("connecting")),
      waiting_(folder_->openFile("waiting")) {}

MachineTurn::Look MachineTurn::look(bool suspicious, Clock::time_point since,
                                    Clock::time_point deadline) {
    if (!connecting_.valid() || !waiting_.valid()) return Look::kMine;
    const auto now = Clock::now();
    const auto half = since + (deadline - since) / 2;
    if (!tryLock(connecting_, LOCK_EX)) {
        const bool impatient =
            !suspicious && now >= std::min<Clock::time_point>(since + kPatience, half);
        return impatient || isStuck() ? Look::kWithout : Look::kBusy;
    }
    if (suspicious && now < std::min<Clock::time_point>(since + kCourtesy, half)) {
        // Nobody here waits with a better one, or this one would not be asked for.
        const bool nobody = tryLock(waiting_, LOCK_EX);
        if (nobody) flock(waiting_.get(), LOCK_UN);
        if (!nobody) {
            giveBack();
            return Look::kBusy;
        }
    }
    const std::string time = std::to_string(sinceBoot().count()) + "\n";
    static_cast<void>(ftruncate(connecting_.get(), 0) == 0 &&
                      pwrite(connecting_.get(), time.data(), time.size(), 0) > 0);
    return Look::kMine;
}

void MachineTurn::giveBack() {
    // Not by closing: a child that was forked meanwhile has the descriptor, too.
    if (connecting_.valid()) flock(connecting_.get(), LOCK_UN);
}

void MachineTurn::setWaiting(bool waits) {
    if (!waiting_.valid() || waits == waits_) return;
    // A suspicious one that looks just now is in the way for a moment: the next call tries again.
    waits_ = waits ? tryLock(waiting_, LOCK_SH) : (flock(waiting_.get(), LOCK_UN), false);
}

bool MachineTurn::isStuck() const {
    char text[32] = {};
    if (pread(connecting_.get(), text, sizeof(text) - 1, 0) <= 0) return false;
    int64_t since = 0;
    std::from_chars(text, text + sizeof(text), since);
    const auto held = sinceBoot() - std::chrono::milliseconds(since);
    return since > 0 && held > kStuck;
}

}  // namespace mooncake::nvmeof_generic
