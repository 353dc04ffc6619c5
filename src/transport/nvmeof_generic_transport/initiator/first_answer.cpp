// SPDX-License-Identifier: Apache-2.0
#include "first_answer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <vector>

#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

// For an answer, where others cannot be asked at all.
constexpr std::chrono::seconds kPatience{1};

using Answer = std::optional<Result<bool>>;

bool isGood(const Answer& answer) {
    return answer && answer->ok() && answer->value();
}

bool cannotBeAsked(const Answer& answer) {
    return answer && answer->ok() && !answer->value();
}

}  // namespace

Result<Path> firstThatAnswers(
    const Paths& paths,
    const std::function<Result<bool>(const Path& path, const std::stop_token& stop)>& ask,
    const std::stop_token& stop, size_t turn) {
    struct {
        std::mutex mutex;
        std::condition_variable_any changed;
        std::vector<Answer> of;  // guarded by mutex
    } answers;
    answers.of.resize(paths.size());
    std::stop_source enough;
    const std::stop_callback stopping(stop, [&] { enough.request_stop(); });
    struct Threads {
        std::stop_source& enough;
        std::vector<std::thread> all;
        void end() {
            enough.request_stop();
            for (std::thread& thread : all) thread.join();
            all.clear();
        }
        ~Threads() { end(); }
    } threads{enough, {}};
    threads.all.reserve(paths.size());
    for (size_t i = 0; i < paths.size(); ++i) {
        const auto askOne = [&, i] {
            Result<bool> answer = Error{0, {}};
            try {
                answer = ask(paths[i], enough.get_token());
            } catch (const std::bad_alloc&) {
                answer = outOfMemory("cannot ask", paths[i].target.traddr);
            }
            const std::lock_guard guard(answers.mutex);
            answers.of[i] = std::move(answer);
            answers.changed.notify_all();
        };
        auto started = startThread("nvmeof-probe", askOne);
        if (started.ok()) {
            threads.all.push_back(started.take());
        } else {
            askOne();
        }
    }
    {
        std::unique_lock lock(answers.mutex);
        const auto settled = [&] {
            return std::any_of(answers.of.begin(), answers.of.end(), isGood) ||
                   std::all_of(answers.of.begin(), answers.of.end(),
                               [](const Answer& answer) { return answer.has_value(); });
        };
        answers.changed.wait_for(lock, enough.get_token(), kPatience, settled);
        if (std::none_of(answers.of.begin(), answers.of.end(), cannotBeAsked)) {
            answers.changed.wait(lock, enough.get_token(), settled);
        }
    }
    threads.end();
    if (stop.stop_requested()) return makeError(ECANCELED, "asking " + toString(paths.front()));
    std::vector<size_t> mute;
    for (size_t i = 0; i < paths.size(); ++i) {
        if (isGood(answers.of[i])) return paths[i];
        if (cannotBeAsked(answers.of[i])) mute.push_back(i);
    }
    if (!mute.empty()) return paths[mute[turn % mute.size()]];
    // What a target has against this host is more than another one's silence.
    const auto refuses = [](const Answer& answer) {
        const int code = answer->error().code;
        return code == ENOKEY || code == EKEYREJECTED || code == EPROTONOSUPPORT;
    };
    const auto why = std::find_if(answers.of.begin(), answers.of.end(), refuses);
    return (why == answers.of.end() ? answers.of.front() : *why)->error();
}

}  // namespace mooncake::nvmeof_generic
