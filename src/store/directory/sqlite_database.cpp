// SPDX-License-Identifier: Apache-2.0
#include "sqlite_database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "local_file_system.h"
#include "sqlite_schema.h"

namespace mooncake::store {

namespace {

std::string bootId() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string line;
    std::getline(file, line);
    return line;
}

Result<> makeFolder(const std::string& folder) {
    if (mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return failed(errno == EACCES || errno == EROFS ? Failure::kRefused : Failure::kUnavailable,
                  "the directory's folder '" + folder + "' cannot be made: " +
                      std::strerror(errno) + "; name another place, or make it");
}

// @return false with errno
bool flushFile(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool done = fdatasync(fd) == 0;
    const int error = errno;
    close(fd);
    errno = error;
    return done;
}

Error notFlushed(const std::string& path, int error) {
    return {Failure::kUnavailable, "'" + path + "' cannot be flushed: " + std::strerror(error) +
                                       "; see whether its disk has errors"};
}

}  // namespace

SqliteDatabase::SqliteDatabase(std::string path, Counters* counters)
    : path_(std::move(path)),
      log_(path_ + "-wal"),
      boot_(bootId()),
      counters_(counters),
      writers_(path_, 1, true),
      readers_(path_, kReaders, false) {}

Result<std::unique_ptr<SqliteDatabase>> SqliteDatabase::open(const std::string& path,
                                                             const Uuid& fresh, Counters* counters,
                                                             Deadline deadline) {
    const std::string folder = std::filesystem::absolute(path).parent_path();
    if (auto made = makeFolder(folder); !made) return tl::unexpected<Error>(made.error());
    if (auto local = checkLocalFolder(folder); !local) return tl::unexpected<Error>(local.error());
    std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(path, counters));
    if (database->boot_.empty()) {
        return failed(Failure::kUnsupported,
                      "/proc/sys/kernel/random/boot_id cannot be read, which leases need; mount "
                      "/proc");
    }
    auto writer = database->writers_.take(deadline);
    if (!writer) return tl::unexpected<Error>(writer.error());
    const auto id = openSchema(writer->get(), fresh, deadline);
    if (!id) {
        return failed(id.error().failure, "directory '" + path + "': " + id.error().message);
    }
    database->id_ = *id;
    struct stat status = {};
    if (stat(path.c_str(), &status) == 0) {
        database->device_ = status.st_dev;
        database->inode_ = status.st_ino;
    }
    return database;
}

tl::unexpected<Error> SqliteDatabase::refuse(const Error& error) {
    if (error.failure == Failure::kTimeout) counters_->add(&DirectoryStatistics::timeouts);
    return tl::unexpected<Error>(error);
}

Result<SqliteDatabase::Turn> SqliteDatabase::begin(Kind kind, Deadline deadline) {
    auto loan = (kind == Kind::kRead ? readers_ : writers_).take(deadline);
    if (!loan) return refuse(loan.error());
    counters_->add(&DirectoryStatistics::round_trips);
    auto run = std::make_unique<SqliteRun>(loan->get(), kind, deadline);
    if (!run->ok()) return refuse(run->error().value());
    return Turn(std::move(*loan), std::move(run));
}

Result<> SqliteDatabase::finish(Turn* turn) {
    if (turn->get()->ok()) {
        if (auto done = turn->get()->commit(); done) return {};
    }
    return refuse(turn->get()->error().value());
}

// The log is all that commits write to. What has gone from it into the database was flushed there
// before, and SQLite flushes the folder with the header of a new log. Takes no memory: what was
// committed, the caller has to hear of.
Result<> SqliteDatabase::flush() {
    if (!flushFile(log_)) return refuse(notFlushed(log_, errno));
    return {};
}

bool SqliteDatabase::isReplaced() const {
    struct stat status = {};
    return stat(path_.c_str(), &status) != 0 || status.st_dev != device_ || status.st_ino != inode_;
}

std::string SqliteDatabase::replacedText() const {
    return "the database '" + path_ +
           "' was taken away or replaced while it was in use; restart the processes that use it";
}

}  // namespace mooncake::store
