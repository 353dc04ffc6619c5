// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <algorithm>
#include <ostream>

#include "units.h"

namespace mooncake::store::tool {

using std::chrono::steady_clock;

std::string barText(const std::string& what, uint64_t done, uint64_t total,
                    steady_clock::duration elapsed) {
    constexpr size_t kWidth = 30;
    if (total == 0) return what + " " + std::to_string(done);
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const auto filled = static_cast<size_t>(part * kWidth);
    std::string text = what + " [" + std::string(filled, '#') + std::string(kWidth - filled, ' ') +
                       "] " + std::to_string(static_cast<int>(part * 100)) + " %";
    if (part > 0 && part < 1) {
        const std::chrono::duration<double> left = elapsed * ((1 - part) / part);
        text +=
            ", " + durationText(std::chrono::duration_cast<std::chrono::seconds>(left)) + " left";
    }
    return text;
}

Progress::~Progress() {
    if (width_ > 0) output_.err << '\r' << std::string(width_, ' ') << '\r' << std::flush;
}

void Progress::add(uint64_t count) {
    constexpr auto kPeriod = std::chrono::milliseconds(200);
    done_ += count;
    const auto now = steady_clock::now();
    if (!output_.show_bars || now < shown_ + kPeriod) return;
    shown_ = now;
    std::string text = barText(what_, done_, total_, now - begin_);
    const size_t width = text.size();
    if (width < width_) text.append(width_ - width, ' ');
    width_ = std::max(width, width_);
    output_.err << '\r' << text << std::flush;
}

}  // namespace mooncake::store::tool
