// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "controller_connection.h"
#include "kernel_connection.h"
#include "late_copies.h"
#include "path.h"
#include "path_record.h"
#include "stuck_paths.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

/// All paths to one subsystem, each a controller of its own, that the kernel joins to the same
/// disks (native multipath). Each has a thread that connects it, and again when it is gone, each
/// with its own back-off: none waits for another. A path that the kernel has lost and is restoring
/// is left to the kernel, which sends its I/O over the others meanwhile. Once no path is left at
/// all the group is at its end: its disks are gone, too.
class PathGroup final : public KernelConnection {
 public:
    using Made = Result<std::shared_ptr<ControllerConnection>>;
    /// Connects one path, or joins its controller.
    using Make = std::function<Made(const Path& path, const std::stop_token& stop)>;
    /// Called with each controller of this transport's when it is there.
    using Arrange = std::function<void(const ControllerConnection& controller)>;

    /// Begins to connect all of them, and waits for the first that is.
    /// @param stop  ends the attempts under way
    /// @return the first path's error where none can be connected, with the others' in its message
    static Result<std::shared_ptr<PathGroup>> open(const std::string& subsystemNqn,
                                                   const Paths& paths, Make make, Arrange arrange,
                                                   const std::stop_token& stop);
    ~PathGroup() override;
    PathGroup(const PathGroup&) = delete;
    PathGroup& operator=(const PathGroup&) = delete;

    const std::string& subsystemNqn() const override { return subsystemNqn_; }
    bool isLive() const override;
    bool isReconnecting() const override;
    bool isOurs() const override;
    /// Asks each path. Comes back with the first answer: a path without one is not waited for.
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>& device) override;
    void giveUp() override;
    bool isUsable() const override;
    std::vector<std::shared_ptr<const ControllerConnection>> controllers() const override;
    std::function<uint64_t()> lossWithCopies() const override;
    std::shared_ptr<const PathBoard> paths() const override { return board_; }

 private:
    using Controller = std::shared_ptr<ControllerConnection>;
    enum class Question : uint8_t { kNone, kAsked, kAnswered, kUnanswered };
    struct Course;

    /// One path and its thread. What is not const is guarded by mutex_.
    struct Keeper {
        explicit Keeper(const Path& p) : path(p), record(std::make_shared<PathRecord>(p)) {}
        const Path path;
        const std::shared_ptr<PathRecord> record;
        size_t number = 0;      // in the list
        Controller controller;  // null: there is none, or it is being connected
        bool tried = false;
        Question question = Question::kNone;
        Error error{0, {}};  // of the last attempt
        std::thread thread;
    };

    PathGroup(std::string subsystemNqn, Make make, Arrange arrange, const std::stop_token& stop);
    Result<> start(const Paths& paths);
    Result<> waitForFirst();
    void keep(Keeper& keeper);
    void noteNoMemory(Keeper& keeper, Course& course);
    void attempt(Keeper& keeper, Course& course);
    void attend(Keeper& keeper, const Controller& controller, Course& course);
    void lookForStuck(Keeper& keeper, const Controller& controller, Course& course, bool answers);
    bool isSpare(const Controller& controller) const;
    std::vector<Controller> all() const;

    const std::string subsystemNqn_;
    const Make make_;
    const Arrange arrange_;
    std::stop_source ending_;
    const std::stop_callback<std::function<void()>> stopping_;

    mutable std::mutex mutex_;
    mutable std::condition_variable_any changed_;
    std::vector<std::unique_ptr<Keeper>> keepers_;  // the list never changes after start()
    bool connected_ = false;                        // some path was; guarded by mutex_
    StuckPaths stuck_{0};                           // guarded by mutex_
    std::shared_ptr<LateCopies> lateCopies_;        // from then on; guarded by mutex_
    bool over_ = false;                             // guarded by mutex_
    bool givenUp_ = false;                          // guarded by mutex_
    std::shared_ptr<const PathBoard> board_;
};

}  // namespace mooncake::nvmeof_generic
