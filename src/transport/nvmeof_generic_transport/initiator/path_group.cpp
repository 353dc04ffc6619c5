// SPDX-License-Identifier: Apache-2.0
#include "path_group.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <random>
#include <utility>

#include "transport/nvmeof_generic_transport/common/log_pace.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

// Between two attempts to connect a path: half a second at first, doubling.
constexpr Clock::duration kFirstPause = 500ms, kLongestPause = 4s;

// Between two looks at a path that nobody asks for.
constexpr auto kLook = 1s;

// Between two times that new namespaces are arranged for.
constexpr auto kArrange = 10s;

// For the answer of some path.
constexpr auto kAnswerLimit = 3s;

// After a question, for how long and how often each path is looked at whether I/O over it ends.
constexpr Clock::duration kWatch = 4s, kShortLook = 250ms;

// A path that comes back and does not answer so often in a row is lame: it lets small packets pass,
// with which the kernel connects, and loses large ones.
constexpr int kLame = 3;
constexpr auto kLamePause = 1min;

Clock::duration withJitter(Clock::duration pause) {
    thread_local std::minstd_rand random{std::random_device{}()};
    const double factor = std::uniform_real_distribution<double>(0.75, 1.25)(random);
    return std::chrono::duration_cast<Clock::duration>(pause * factor);
}

}  // namespace

/// What a path's thread knows, and nobody else.
struct PathGroup::Course {
    Clock::duration pause = kFirstPause;
    Clock::time_point attemptAt{};  // not before
    Clock::time_point arrangeAt{};
    bool up = false;                 // at the last look
    bool asked = false;              // since it came up
    int unanswered = 0;              // questions in a row to a path that had come up
    Clock::time_point watchUntil{};  // whether I/O ends
    LogPace failures, losses;
    std::string told;  // the last error that was logged
};

PathGroup::PathGroup(std::string subsystemNqn, Make make, Arrange arrange,
                     const std::stop_token& stop)
    : subsystemNqn_(std::move(subsystemNqn)),
      make_(std::move(make)),
      arrange_(std::move(arrange)),
      stopping_(stop, [this] { ending_.request_stop(); }) {}

Result<std::shared_ptr<PathGroup>> PathGroup::open(const std::string& subsystemNqn,
                                                   const Paths& paths, Make make, Arrange arrange,
                                                   const std::stop_token& stop) {
    std::shared_ptr<PathGroup> group(
        new PathGroup(subsystemNqn, std::move(make), std::move(arrange), stop));
    if (auto started = group->start(paths); !started.ok()) return started.error();
    if (auto first = group->waitForFirst(); !first.ok()) return first.error();
    return group;
}

Result<> PathGroup::start(const Paths& paths) {
    std::vector<std::shared_ptr<const PathRecord>> records;
    for (const Path& path : paths) {
        keepers_.push_back(std::make_unique<Keeper>(path));
        keepers_.back()->number = keepers_.size() - 1;
        records.push_back(keepers_.back()->record);
    }
    board_ = std::make_shared<PathRecords>(std::move(records));
    stuck_ = StuckPaths(keepers_.size());
    for (const auto& keeper : keepers_) {
        auto started = startThread("nvmeof-path", [this, one = keeper.get()] { keep(*one); });
        if (!started.ok()) return started.error();
        keeper->thread = started.take();
    }
    return {};
}

PathGroup::~PathGroup() {
    ending_.request_stop();
    // Each disconnects its own controller, all at the same time.
    for (const auto& keeper : keepers_) {
        if (keeper->thread.joinable()) keeper->thread.join();
    }
}

Result<> PathGroup::waitForFirst() {
    std::unique_lock lock(mutex_);
    const auto settled = [this] {
        return std::any_of(keepers_.begin(), keepers_.end(),
                           [](const auto& one) { return one->controller != nullptr; }) ||
               std::all_of(keepers_.begin(), keepers_.end(),
                           [](const auto& one) { return one->tried; });
    };
    if (!changed_.wait(lock, ending_.get_token(), settled)) {
        return makeError(ECANCELED, "connecting to " + subsystemNqn_);
    }
    Error error = keepers_.front()->error;
    for (size_t i = 0; i < keepers_.size(); ++i) {
        if (keepers_[i]->controller) return {};
        if (i != 0) error.message += "; " + keepers_[i]->error.message;
    }
    return error;
}

std::vector<PathGroup::Controller> PathGroup::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<Controller> found;
    for (const auto& keeper : keepers_) {
        if (keeper->controller) found.push_back(keeper->controller);
    }
    return found;
}

bool PathGroup::isLive() const {
    const auto found = all();
    return std::any_of(found.begin(), found.end(), [](const auto& one) { return one->isLive(); });
}

bool PathGroup::isReconnecting() const {
    const auto found = all();
    return std::any_of(found.begin(), found.end(),
                       [](const auto& one) { return one->isReconnecting(); });
}

bool PathGroup::isOurs() const {
    const auto found = all();
    return std::any_of(found.begin(), found.end(), [](const auto& one) { return one->isOurs(); });
}

bool PathGroup::isUsable() const {
    {
        const std::lock_guard lock(mutex_);
        if (over_) return false;
    }
    const auto found = all();
    return std::any_of(found.begin(), found.end(), [](const auto& one) { return one->isUsable(); });
}

std::vector<std::shared_ptr<const ControllerConnection>> PathGroup::controllers() const {
    std::vector<std::shared_ptr<const ControllerConnection>> live, others;
    for (const auto& one : all()) {
        if (one->isLive()) {
            live.push_back(one);
        } else if (one->isUsable()) {
            others.push_back(one);
        }
    }
    live.insert(live.end(), others.begin(), others.end());
    return live;
}

std::function<uint64_t()> PathGroup::lossWithCopies() const {
    const std::lock_guard lock(mutex_);
    if (!lateCopies_) return nullptr;
    return [copies = lateCopies_] { return copies->loss(); };
}

bool PathGroup::provokeAnswer(const std::shared_ptr<const UniqueFd>&) {
    std::unique_lock lock(mutex_);
    for (const auto& keeper : keepers_) {
        if (keeper->controller && keeper->controller->isOurs()) {
            keeper->question = Question::kAsked;
        }
    }
    changed_.notify_all();
    const auto has = [this](Question state) {
        return std::any_of(keepers_.begin(), keepers_.end(),
                           [state](const auto& one) { return one->question == state; });
    };
    changed_.wait_for(lock, ending_.get_token(), kAnswerLimit,
                      [&] { return has(Question::kAnswered) || !has(Question::kAsked); });
    return has(Question::kAnswered);
}

void PathGroup::giveUp() {
    {
        const std::lock_guard lock(mutex_);
        over_ = givenUp_ = true;
    }
    // At the same time: each may need seconds, and what one had would go over the next.
    auto ours = all();
    std::erase_if(ours, [](const auto& one) { return !one->isOurs(); });
    for (const auto& one : ours) one->beginToGiveUp();
    for (const auto& one : ours) one->waitUntilGoing();
}

// Whether another path is up.
bool PathGroup::isSpare(const Controller& controller) const {
    const auto found = all();
    return std::any_of(found.begin(), found.end(),
                       [&](const auto& other) { return other != controller && other->isLive(); });
}

void PathGroup::keep(Keeper& keeper) {
    const auto stop = ending_.get_token();
    Course course;
    while (!stop.stop_requested()) {
        Controller controller;
        {
            std::unique_lock lock(mutex_);
            controller = keeper.controller;
            if (over_) {
                changed_.wait(lock, stop, [] { return false; });
            } else if (!controller && Clock::now() < course.attemptAt) {
                changed_.wait_until(lock, stop, course.attemptAt, [this] { return over_; });
                continue;
            } else if (controller && keeper.question != Question::kAsked) {
                const Clock::duration look =
                    Clock::now() < course.watchUntil ? kShortLook : Clock::duration(kLook);
                changed_.wait_for(lock, stop, look,
                                  [&] { return over_ || keeper.question == Question::kAsked; });
            }
            if (over_ || stop.stop_requested()) continue;
        }
        try {
            if (controller) {
                attend(keeper, controller, course);
            } else {
                attempt(keeper, course);
            }
        } catch (const std::bad_alloc&) {
            noteNoMemory(keeper, course);
        }
    }
    Controller last;
    {
        const std::lock_guard lock(mutex_);
        last = std::exchange(keeper.controller, nullptr);
    }
}

// There may be some at the next look.
void PathGroup::noteNoMemory(Keeper& keeper, Course& course) {
    course.attemptAt = Clock::now() + kFirstPause;
    const std::lock_guard lock(mutex_);
    keeper.tried = true;
    if (!keeper.controller) keeper.error = outOfMemory("cannot connect to", subsystemNqn_);
    if (keeper.question == Question::kAsked) keeper.question = Question::kUnanswered;
    changed_.notify_all();
}

void PathGroup::attempt(Keeper& keeper, Course& course) {
    bool connected = false;
    {
        const std::lock_guard lock(mutex_);
        connected = connected_;
    }
    // In this order: a first path that comes between the two is none that has gone.
    if (connected && !isUsable()) {
        // The disks went with the last path, and what was open with them.
        const std::lock_guard lock(mutex_);
        over_ = true;
        changed_.notify_all();
        return;
    }
    auto made = make_(keeper.path, ending_.get_token());
    std::shared_ptr<LateCopies> lateCopies;
    if (made.ok()) {
        const ControllerConnection& controller = *made.value();
        keeper.record->connected(controller.controllerName(), controller.dir(),
                                 controller.subsystem());
        if (controller.subsystem()) {
            lateCopies = std::make_shared<LateCopies>(controller.subsystem());
        }
    }
    bool tooLate = false, alone = false;
    {
        const std::lock_guard lock(mutex_);
        keeper.tried = true;
        tooLate = givenUp_;
        alone = !connected_;
        if (made.ok()) {
            keeper.controller = made.value();
            keeper.question = Question::kNone;
            connected_ = true;
            if (!lateCopies_) lateCopies_ = std::move(lateCopies);
        } else {
            keeper.error = made.error();
        }
        changed_.notify_all();
    }
    // The kernel would send over it what the others had, instead of ending it.
    if (made.ok() && tooLate && made.value()->isOurs()) made.value()->giveUp();
    const auto now = Clock::now();
    if (made.ok()) {
        course = Course();
        course.up = course.asked = true;
        course.arrangeAt = now;
        LOG(INFO) << subsystemNqn_ << ": connected over " << toString(keeper.path) << " as "
                  << made.value()->controllerName();
        return;
    }
    if (ending_.stop_requested()) return;
    keeper.record->failed();
    course.attemptAt = now + withJitter(course.pause);
    course.pause = std::min(course.pause * 2, kLongestPause);
    // Before any path is there, it is open()'s caller who is told, of all of them at once.
    if (alone) return;
    const std::string& why = made.error().message;
    if (why != course.told && course.failures.admit(now)) {
        LOG(WARNING) << why;
        course.told = why;
    }
}

void PathGroup::attend(Keeper& keeper, const Controller& controller, Course& course) {
    const auto now = Clock::now();
    const bool usable = controller->isUsable();
    const bool up = usable && controller->isLive();
    if (course.up && !up) {
        keeper.record->lost();
        if (course.losses.admit(now)) {
            LOG(WARNING) << subsystemNqn_ << ": the path " << toString(keeper.path) << " ("
                         << controller->controllerName() << ") is down";
        }
    }
    if (up && !course.up) course.asked = false;
    course.up = up;
    if (!usable) {
        const std::lock_guard lock(mutex_);
        keeper.controller = nullptr;
        keeper.question = Question::kNone;
        changed_.notify_all();
        return;
    }
    const bool ours = controller->isOurs();
    if (ours && up && now >= course.arrangeAt) {
        arrange_(*controller);
        course.arrangeAt = now + kArrange;
    }
    bool wanted = false;
    {
        const std::lock_guard lock(mutex_);
        wanted = keeper.question == Question::kAsked;
    }
    const bool isBack = ours && up && !course.asked;
    if (!wanted && !isBack) {
        if (ours && now < course.watchUntil) lookForStuck(keeper, controller, course, up);
        return;
    }
    const bool answered = up && controller->provokeAnswerOfPath();
    if (isBack) {
        course.asked = true;
        course.unanswered = answered ? 0 : course.unanswered + 1;
        if (answered) {
            LOG(INFO) << subsystemNqn_ << ": the path " << toString(keeper.path) << " ("
                      << controller->controllerName() << ") is up again";
        }
    }
    if (course.unanswered >= kLame && isSpare(controller)) {
        LOG(ERROR)
            << subsystemNqn_ << ": the path " << toString(keeper.path)
            << " connects, but large packets do not arrive: check the MTU of the path; it is "
               "tried again in a minute";
        controller->giveUpPath();
        course.unanswered = 0;
        course.attemptAt = Clock::now() + kLamePause;
    }
    {
        const std::lock_guard lock(mutex_);
        keeper.question = answered ? Question::kAnswered : Question::kUnanswered;
        changed_.notify_all();
    }
    if (!wanted) return;
    course.watchUntil = Clock::now() + kWatch;
    lookForStuck(keeper, controller, course, answered);
}

void PathGroup::lookForStuck(Keeper& keeper, const Controller& controller, Course& course,
                             bool answers) {
    std::optional<StuckPaths::Sight> sight;
    if (answers) {
        const auto traffic = SysfsNvme::readTraffic(controller->dir());
        sight = {traffic.ended, traffic.inFlight};
    }
    {
        const std::lock_guard lock(mutex_);
        if (!stuck_.note(keeper.number, sight, Clock::now())) return;
    }
    LOG(WARNING) << subsystemNqn_ << ": the path " << toString(keeper.path) << " ("
                 << controller->controllerName()
                 << ") answers, but none of its I/O ends, and that of another path does; resetting "
                    "it";
    course.watchUntil = {};
    controller->resetPath();
}

}  // namespace mooncake::nvmeof_generic
