// SPDX-License-Identifier: Apache-2.0
#include "service_watch.h"

#include <glog/logging.h>

#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace mooncake::nvmeof_generic {

/// What the thread uses, which the kernel may hold up beyond the watch's end: hosts, ports and
/// files only with the mutex held, and not after the end.
struct ServiceWatch::State {
    NvmetTree tree;
    std::string nqn;
    const HostAccess* hosts;
    const Ports& ports;
    FileExports& files;
    std::chrono::milliseconds interval;

    struct Link {
        std::string path;
        uint64_t version;
        bool linked;
        bool missing = false;
    };

    std::mutex mutex;
    std::condition_variable ending;
    bool ended = false;  // guarded by mutex
    std::set<std::string> told;

    void run();
    void look(std::unique_lock<std::mutex>& lock);
    void tell(bool wrong, const std::string& what);
};

void ServiceWatch::State::run() {
    std::unique_lock lock(mutex);
    while (!ending.wait_for(lock, interval, [this] { return ended; })) look(lock);
}

// Said again only when it was right meanwhile.
void ServiceWatch::State::tell(bool wrong, const std::string& what) {
    if (!wrong) {
        told.erase(what);
    } else if (told.insert(what).second) {
        LOG(ERROR) << what;
    }
}

void ServiceWatch::State::look(std::unique_lock<std::mutex>& lock) {
    const std::vector<uint32_t> served = files.served();
    const std::string path = tree.subsystem(nqn);
    std::vector<Link> links;
    for (const auto& port : ports.all()) {
        links.push_back({port->linkPathOf(nqn), port->linkVersion(), port->isLinked()});
    }
    const bool anyHost = hosts == nullptr;
    const auto allowed = anyHost ? HostAccess::Allowed() : hosts->allowed();
    lock.unlock();

    const bool gone = tree.files->exists(path) == ENOENT;
    for (Link& link : links) link.missing = tree.files->exists(link.path) == ENOENT;
    std::string anyHostNow;
    const bool anyHostKnown = tree.files->readFile(path + "/attr_allow_any_host", anyHostNow) == 0;
    std::set<std::string> shutOut;
    for (const std::string& host : allowed.hosts) {
        if (tree.files->exists(path + "/allowed_hosts/" + host) == ENOENT) shutOut.insert(host);
    }
    std::map<uint32_t, std::string> lost;
    for (const uint32_t nsid : served) {
        const std::string ns = path + "/namespaces/" + std::to_string(nsid);
        std::string enabled;
        const int code = tree.files->readFile(ns + "/enable", enabled);
        if (code == ENOENT) lost[nsid] = "somebody else removed " + ns;
        if (code == 0 && enabled != "1") lost[nsid] = "somebody else disabled " + ns;
    }

    lock.lock();
    if (ended) return;
    tell(gone, "Somebody else removed " + path +
                   ": its files are exported no more; start the "
                   "target again");
    for (size_t i = 0; i < links.size(); ++i) {
        // A link that we take away ourselves for a moment, or are about to make, is not missed.
        const Port& port = *ports.all()[i];
        const bool cut = links[i].linked && links[i].missing && port.isLinked() &&
                         port.linkVersion() == links[i].version;
        tell(cut && !gone, "Somebody else removed " + links[i].path +
                               ": no host reaches the subsystem's files " +
                               (links.size() == 1 ? "" : "at that address ") +
                               "until it is there again; make the link, or start the target again");
    }
    tell(anyHostKnown && anyHostNow != (anyHost ? "1" : "0"),
         "Somebody else changed " + path + "/attr_allow_any_host: " +
             (anyHost ? "hosts that are not on a list there cannot connect any more"
                      : "any host may connect, whatever the list of allowed hosts says"));
    // Those that we let in or take off ourselves meanwhile are looked at the next time.
    if (!anyHost && hosts->allowed().version == allowed.version) {
        for (const std::string& host : allowed.hosts) {
            tell(!gone && shutOut.contains(host),
                 "Somebody else removed " + path + "/allowed_hosts/" + host +
                     ": that host cannot connect any more; make the link, or start the target "
                     "again");
        }
    }
    if (gone) {
        for (const uint32_t nsid : served) lost[nsid] = "somebody else removed " + path;
    }
    for (const auto& [nsid, what] : lost) files.lose(nsid, what);
}

ServiceWatch::ServiceWatch(std::shared_ptr<State> state, std::chrono::milliseconds limit,
                           std::unique_ptr<BoundedThread> thread)
    : state_(std::move(state)), limit_(limit), thread_(std::move(thread)) {
    thread_->run([state = state_] { state->run(); });
}

Result<std::unique_ptr<ServiceWatch>> ServiceWatch::start(const NvmetTree& tree,
                                                          const std::string& subsystemNqn,
                                                          const HostAccess* hosts,
                                                          const Ports& ports, FileExports& files,
                                                          std::chrono::milliseconds interval,
                                                          std::chrono::milliseconds limit) {
    auto thread = BoundedThread::start("nvmeof-watch");
    if (!thread.ok()) return thread.error();
    std::shared_ptr<State> state(
        new State{tree, subsystemNqn, hosts, ports, files, interval, {}, {}, false, {}});
    return std::unique_ptr<ServiceWatch>(new ServiceWatch(std::move(state), limit, thread.take()));
}

ServiceWatch::~ServiceWatch() {
    {
        std::lock_guard guard(state_->mutex);
        state_->ended = true;
    }
    state_->ending.notify_all();
    // One that is held up goes on by itself, and does nothing more when it comes back.
    static_cast<void>(thread_->endsWithin(limit_));
}

}  // namespace mooncake::nvmeof_generic
