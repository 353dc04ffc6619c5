// SPDX-License-Identifier: Apache-2.0
#include "open_files.h"

#include <utility>

namespace mooncake::nvmeof_generic {

std::shared_ptr<IoDevice> OpenFiles::device(uint32_t fileId) const {
    const auto file = files_.find(fileId);
    return file != files_.end() ? file->second.device : nullptr;
}

void OpenFiles::add(uint32_t fileId, std::shared_ptr<IoListener> listener,
                    std::shared_ptr<IoDevice> device) {
    files_[fileId] = {std::move(listener), std::move(device)};
}

std::shared_ptr<IoDevice> OpenFiles::takeOut(uint32_t fileId, const IoListener* listener) {
    const auto file = files_.find(fileId);
    if (file == files_.end() || file->second.listener.get() != listener) return nullptr;
    closing_.push_back(file->second.device);
    files_.erase(file);
    return closing_.back();
}

IoDevice::Activity OpenFiles::activity() {
    IoDevice::Activity all{0, 0};
    const auto add = [&all](const IoDevice& device) {
        const IoDevice::Activity one = device.activity();
        all.outstanding += one.outstanding;
        all.ended += one.ended;
        return one.outstanding;
    };
    for (const auto& [id, file] : files_) add(*file.device);
    std::erase_if(closing_, [&add](const auto& device) { return add(*device) == 0; });
    return all;
}

}  // namespace mooncake::nvmeof_generic
