// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include <exception>
#include <set>
#include <string>
#include <utility>

#include "process.h"
#include "unlocked.h"

namespace mooncake::python {
namespace {

// Those of the interpreter, for its end.
std::set<Store*>& stores() {
    static auto* const all = new std::set<Store*>();
    return *all;
}

bool is_ending = false;

int closeSession(std::shared_ptr<Session> session) {
    const Unlocked unlocked;
    const auto closed = session->client().Close();
    session.reset();
    return closed ? 0 : toInt(closed.error());
}

// The threads and locks of a parent's session are not here.
void abandon(std::shared_ptr<Session> session) {
    new std::shared_ptr<Session>(std::move(session));
}

}  // namespace

Store::Store() {
    stores().insert(this);
}

Store::~Store() {
    stores().erase(this);
    (void)close();
}

std::shared_ptr<Session> Store::session() {
    if (session_ && !session_->isOwn()) {
        abandon(std::exchange(session_, nullptr));
    }
    return session_;
}

int Store::setup(const SetupRequest& request) {
    if (is_ending) return toInt(ErrorCode::INVALID_PARAMS);
    if (session() || setting_up_ == processNumber()) {
        setLastError("setup: the store is set up already; close it first");
        return toInt(ErrorCode::INVALID_PARAMS);
    }
    setting_up_ = processNumber();
    auto opened = [&]() -> tl::expected<std::shared_ptr<Session>, ErrorCode> {
        const Unlocked unlocked;
        try {
            return Session::open(request);
        } catch (const std::exception& error) {
            setLastError(std::string("setup: ") + error.what());
            return tl::unexpected(ErrorCode::INTERNAL_ERROR);
        }
    }();
    setting_up_.reset();
    if (!opened) return toInt(opened.error());
    if (is_ending) return closeSession(std::move(*opened));
    session_ = std::move(*opened);
    return 0;
}

int Store::close() {
    if (!session()) return 0;
    return closeSession(std::exchange(session_, nullptr));
}

void Store::closeAll() {
    is_ending = true;
    // Another one may be destroyed while this one is being closed.
    for (bool found = true; found;) {
        found = false;
        for (Store* const store : stores()) {
            if (!store->session_) continue;
            found = true;
            (void)store->close();
            break;
        }
    }
    Unlocked::awaitAll();
}

}  // namespace mooncake::python
