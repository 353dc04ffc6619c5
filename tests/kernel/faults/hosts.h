// SPDX-License-Identifier: Apache-2.0
// Targets on hosts of their own, played by network namespaces: nvmet listens in the namespace of
// the process that links its port, and the kernel's initiator connects from the first one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "child_process.h"

/// Runs a program to its end; throws std::runtime_error when it fails.
void run(const std::vector<std::string>& command);

/// A network namespace with cables to this one: one or two for data, and one for metadata that no
/// fault touches. Where no link is named the first one for data is meant.
class Host {
 public:
    /// @param number  1 to 200, unique
    /// @param links  for data: 1 or 2
    explicit Host(int number, int links = 1);
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    const std::string& name() const { return name_; }
    /// Of a data cable's far end.
    std::string address(int link = 0) const { return net(link == 0 ? 77 : 79) + ".2"; }
    int links() const { return links_; }
    /// Of this end.
    static std::string deviceOf(int number, int link) {
        return (link == 0 ? "data" : "more") + std::to_string(number);
    }
    std::string device(int link = 0) const { return deviceOf(number_, link); }
    /// Where this host reaches the first namespace by the other cable.
    std::string gateway() const { return net(78) + ".1"; }

    /// Takes the far end of the data cable down, or up again. Takes about a millisecond.
    void cut(int link = 0) { setLink(link, false); }
    void join(int link = 0) { setLink(link, true); }
    /// Disturbs what this host sends: "delay 20ms 10ms loss 1%"; empty: no more.
    void disturb(const std::string& netem);
    /// The local ports of the TCP connections to a port of this host.
    std::set<uint16_t> flowsTo(uint16_t port) const;
    /// Loses every packet of these connections, in both directions, and of no others; none: no
    /// more.
    void lose(const std::vector<uint16_t>& flows);
    /// Loses what these connections bring to this end, but for packets without data: what this end
    /// sends arrives, and is acknowledged. Until lose({}).
    void loseAnswers(const std::vector<uint16_t>& flows);
    /// Frames of up to 9000 bytes on the data cable, each packet by itself; for good.
    void useJumboFrames() const;
    /// Loses IP packets that are larger, in both directions; 0: no more.
    void loseLargerThan(unsigned bytes);
    /// Runs a program on this host.
    void runThere(std::vector<std::string> command) const;

 private:
    std::string net(int second) const {
        return "10." + std::to_string(second) + "." + std::to_string(number_);
    }
    void setLink(int link, bool up) const;

    const int number_;
    const int links_;
    const std::string name_;
    bool disturbed_ = false;
    bool losing_ = false;
};

/// Watches the order in which connections to a host are made: of NVMe the admin queue's comes
/// first. The host's answers are delayed meanwhile, so that it can be seen.
class FlowOrder {
 public:
    FlowOrder(Host& host, uint16_t port);
    ~FlowOrder() { end(); }
    FlowOrder(const FlowOrder&) = delete;
    FlowOrder& operator=(const FlowOrder&) = delete;
    /// Ends it. @return the local ports of those that are still there, in their order
    std::vector<uint16_t> end();

 private:
    Host& host_;
    const uint16_t port_;
    std::atomic<bool> ended_{false};
    std::vector<uint16_t> seen_;  // the observer's, until it has ended
    std::thread observer_;
};

/// A target process on a host.
class TargetNode {
 public:
    /// @param metadataPort  the server must listen on every address
    TargetNode(Host& host, int metadataPort, std::string name, std::vector<std::string> files);
    ~TargetNode();
    TargetNode(const TargetNode&) = delete;
    TargetNode& operator=(const TargetNode&) = delete;

    const std::string& name() const { return name_; }
    Host& host() { return host_; }
    /// What it exports, and the ids of these files there. They begin anew with a restart; what an
    /// initiator calls them does not.
    const std::vector<std::string>& files() const { return files_; }
    const std::vector<uint32_t>& ids() const { return ids_; }

    void start();
    /// SIGKILL: the kernel goes on serving what it exported.
    void kill();
    /// Ends it in order.
    void end();
    uint32_t add(const std::string& path);
    void remove(const std::string& path);

 private:
    void send(const std::string& line);
    void command(const std::string& line);
    uint32_t idOf(const std::string& path);

    Host& host_;
    const int metadataPort_;
    const std::string name_;
    const std::string control_;
    std::vector<std::string> files_;
    std::vector<uint32_t> ids_;
    std::unique_ptr<test_support::ChildProcess> process_;
    int commands_ = 0;
};

/// Takes the links of a host's ports in nvmet away, and gives them back.
class PortLinks {
 public:
    explicit PortLinks(const Host& host);
    void remove();
    void restore();
    size_t count() const { return links_.size(); }

 private:
    const Host& host_;
    std::vector<std::pair<std::string, std::string>> links_;  // link, what it points to
};

/// Deletes a controller, as an administrator does.
void deleteController(const std::string& name);
/// The interface that a controller was told to connect from.
std::string hostInterfaceOf(const std::string& controller);
/// The controllers of this address.
std::vector<std::string> controllersAt(const std::string& address);
/// What the kernel says of it: "live", "connecting" ...; "" when it is gone.
std::string stateOf(const std::string& controller);
