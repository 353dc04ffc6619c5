// SPDX-License-Identifier: Apache-2.0
#include "late_copies.h"

#include <algorithm>
#include <new>
#include <string_view>

#include "sysfs_file.h"
#include "sysfs_nvme.h"
#include "tcp_flows.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

// From a path's loss until the kernel has repeated what it had: longer than this, since it waits
// for all processors to have left the path's queues.
constexpr LateCopies::Clock::duration kLookLasts = 5ms;

// "nvme3", the link to a controller, and no disk.
bool isControllerName(std::string_view name) {
    constexpr std::string_view kHead = "nvme";
    return name.starts_with(kHead) && name.size() > kHead.size() &&
           std::all_of(name.begin() + kHead.size(), name.end(),
                       [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

uint64_t LateCopies::loss() noexcept {
    const auto now = now_();
    if (now - lookedAt_.load(std::memory_order_acquire) >= kLookLasts) {
        const std::unique_lock lock(looking_, std::try_to_lock);
        if (!lock.owns_lock()) return kNotKnownYet;
        try {
            auto seen = look();
            if (!seen) return kNotKnownYet;
            auto& [names, mayBeSent] = *seen;
            const bool more = std::any_of(names.begin(), names.end(), [this](const auto& name) {
                return std::find(goingDown_.begin(), goingDown_.end(), name) == goingDown_.end();
            });
            if (more) losses_.fetch_add(1, std::memory_order_relaxed);
            if (mayBeSent) over_.store(now_() + kOnTheWay, std::memory_order_relaxed);
            goingDown_ = std::move(names);
            lookedAt_.store(now, std::memory_order_release);
        } catch (const std::bad_alloc&) {
            // There may be memory at the next look. Until then nothing is sure.
            return kNotKnownYet;
        }
    }
    return now < over_.load(std::memory_order_relaxed) ? losses_.load(std::memory_order_relaxed)
                                                       : 0;
}

std::optional<LateCopies::Look> LateCopies::look() const {
    Look found;
    const auto names = listFolder(subsystem_->get(), ".");
    if (!names.ok()) {
        if (!isGone(names.error().code)) return std::nullopt;
        return found;  // the subsystem is gone, and all its controllers
    }
    for (const std::string& name : names.value()) {
        if (!isControllerName(name)) continue;
        const auto dir = openFolder(subsystem_->get(), name);
        const auto state = dir.ok() ? SysfsNvme::readState(dir.value().get()) : dir.error();
        if (!state.ok()) {
            if (!isGone(state.error().code)) return std::nullopt;
            continue;
        }
        if (state.value() == ControllerState::kLive ||
            state.value() == ControllerState::kConnecting) {
            continue;
        }
        const auto info = SysfsNvme::describeController(dir.value().get(), name);
        if (!info.ok() && !isGone(info.error().code)) return std::nullopt;
        if (!info.ok() || info.value().trtype != "tcp") continue;
        found.goingDown.push_back(name);
        found.mayBeSent =
            found.mayBeSent || closesWithData(info.value().traddr, info.value().trsvcid, procRoot_);
    }
    return found;
}

}  // namespace mooncake::nvmeof_generic
