// SPDX-License-Identifier: Apache-2.0
#include "open_files.h"

#include <algorithm>
#include <utility>

namespace mooncake::nvmeof_generic {

std::shared_ptr<IoDevice> OpenFiles::device(uint32_t fileId) const {
    const auto file = files_.find(fileId);
    return file != files_.end() ? file->second.device : nullptr;
}

void OpenFiles::add(uint32_t fileId, uint32_t nsid, std::shared_ptr<IoListener> listener,
                    std::shared_ptr<IoDevice> device) {
    files_[fileId] = {nsid, std::move(listener), std::move(device)};
}

OpenFiles::Devices OpenFiles::takeOutAllBut(const Predicate& kept) {
    Devices out;
    std::erase_if(files_, [&](const auto& file) {
        if (kept(file.first, file.second.nsid)) return false;
        out.push_back(file.second.device);
        return true;
    });
    closing_.insert(closing_.end(), out.begin(), out.end());
    return out;
}

std::shared_ptr<IoDevice> OpenFiles::takeOut(uint32_t fileId, const IoListener* listener) {
    const auto file = files_.find(fileId);
    if (file == files_.end() || file->second.listener.get() != listener) return nullptr;
    closing_.push_back(file->second.device);
    files_.erase(file);
    return closing_.back();
}

IoDevice::Activity OpenFiles::activity() {
    return sumUp([](IoDevice& device) { return IoDevice::Sample{device.activity(), 0}; }).activity;
}

IoDevice::Sample OpenFiles::sample() {
    return sumUp([](IoDevice& device) { return device.sample(); });
}

template <class Read>
IoDevice::Sample OpenFiles::sumUp(const Read& read) {
    IoDevice::Sample all{{0, 0}, 0};
    const auto add = [&](IoDevice& device) {
        const IoDevice::Sample one = read(device);
        all.activity.outstanding += one.activity.outstanding;
        all.activity.ended += one.activity.ended;
        all.oldest = std::max(all.oldest, one.oldest);
        return one.activity.outstanding;
    };
    for (const auto& [id, file] : files_) add(*file.device);
    std::erase_if(closing_, [&add](const auto& device) { return add(*device) == 0; });
    return all;
}

std::shared_ptr<const UniqueFd> OpenFiles::anyDescriptor() const {
    return files_.empty() ? nullptr : files_.begin()->second.device->descriptor();
}

}  // namespace mooncake::nvmeof_generic
