// SPDX-License-Identifier: Apache-2.0
#include "hosts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "cluster.h"

namespace fs = std::filesystem;

void run(const std::vector<std::string>& command) {
    test_support::ChildProcess program(command);
    if (program.wait() == 0) return;
    std::string text;
    for (const std::string& word : command) text += word + " ";
    throw std::runtime_error(text + "failed: " + program.output());
}

Host::Host(int number, int links)
    : number_(number), links_(links), name_("far" + std::to_string(number)) {
    run({"modprobe", "-a", "veth", "sch_netem"});
    run({"ip", "netns", "add", name_});
    runThere({"ip", "link", "set", "lo", "up"});
    std::vector<std::pair<std::string, int>> cables = {{"meta" + std::to_string(number), 78},
                                                       {device(0), 77}};
    if (links > 1) cables.emplace_back(device(1), 79);
    for (const auto& [cable, second] : cables) {
        run({"ip", "link", "add", cable, "type", "veth", "peer", "name", cable, "netns", name_});
        run({"ip", "address", "add", net(second) + ".1/24", "dev", cable});
        run({"ip", "link", "set", cable, "up"});
        runThere({"ip", "address", "add", net(second) + ".2/24", "dev", cable});
        runThere({"ip", "link", "set", cable, "up"});
    }
}

Host::~Host() {
    try {
        run({"ip", "netns", "delete", name_});
        // The cables go with it, unless a port still listens there.
        for (const char* cable : {"data", "more", "meta"}) {
            test_support::ChildProcess remove(
                {"ip", "link", "delete", cable + std::to_string(number_)});
            remove.wait();
        }
    } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
    }
}

void Host::runThere(std::vector<std::string> command) const {
    command.insert(command.begin(), {"nsenter", "--net=/run/netns/" + name_});
    run(command);
}

void Host::setLink(int link, bool up) const {
    const std::string device = this->device(link);
    bool done = false;
    // A thread of its own, since it stays in the other namespace.
    std::thread there([&] {
        const int space = open(("/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC);
        const bool entered = space >= 0 && setns(space, CLONE_NEWNET) == 0;
        if (space >= 0) close(space);
        const int fd = entered ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
        ifreq request{};
        device.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
        if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
            const int flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
            request.ifr_flags = static_cast<short>(flags);
            done = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
        }
        if (fd >= 0) close(fd);
    });
    there.join();
    if (!done) throw std::runtime_error("cannot switch the link of " + name_);
}

void Host::disturb(const std::string& netem) {
    const std::string device = "data" + std::to_string(number_);
    if (disturbed_) runThere({"tc", "qdisc", "del", "dev", device, "root"});
    disturbed_ = !netem.empty();
    if (!disturbed_) return;
    std::vector<std::string> command = {"tc", "qdisc", "add", "dev", device, "root", "netem"};
    std::istringstream words(netem);
    for (std::string word; words >> word;) command.push_back(word);
    runThere(command);
}

std::set<uint16_t> Host::flowsTo(uint16_t port) const {
    in_addr far{};
    inet_pton(AF_INET, address().c_str(), &far);
    std::set<uint16_t> flows;
    std::ifstream table("/proc/net/tcp");
    for (std::string line; std::getline(table, line);) {
        unsigned number, local, localPort, remote, remotePort, state;
        constexpr unsigned kEstablished = 1;
        if (sscanf(line.c_str(), " %u: %x:%x %x:%x %x", &number, &local, &localPort, &remote,
                   &remotePort, &state) == 6 &&
            remote == far.s_addr && remotePort == port && state == kEstablished) {
            flows.insert(static_cast<uint16_t>(localPort));
        }
    }
    return flows;
}

void Host::lose(const std::vector<uint16_t>& flows) {
    const std::string device = "data" + std::to_string(number_);
    // Where packets arrive: a sender is told of what it cannot send.
    const std::pair<std::string, std::function<void(const std::vector<std::string>&)>> ends[] = {
        {"dport", run}, {"sport", [this](const auto& command) { runThere(command); }}};
    if (losing_) {
        for (const auto& [field, at] : ends) at({"tc", "qdisc", "del", "dev", device, "ingress"});
    }
    losing_ = !flows.empty();
    if (!losing_) return;
    run({"modprobe", "-a", "sch_ingress", "cls_u32", "act_gact"});
    for (const auto& [field, at] : ends) {
        at({"tc", "qdisc", "add", "dev", device, "ingress"});
        for (const uint16_t flow : flows) {
            at({"tc", "filter", "add", "dev", device, "ingress", "protocol", "ip", "u32", "match",
                "ip", field, std::to_string(flow), "0xffff", "action", "drop"});
        }
    }
}

void Host::useJumboFrames() const {
    const std::vector<std::string> command = {
        "ip", "link", "set", "data" + std::to_string(number_), "mtu", "9000", "gso_max_segs", "1"};
    run(command);
    runThere(command);
}

void Host::loseAnswers(const std::vector<uint16_t>& flows) {
    lose({});
    losing_ = true;
    run({"modprobe", "-a", "sch_ingress", "cls_u32", "act_gact"});
    runThere({"tc", "qdisc", "add", "dev", device(), "ingress"});
    run({"tc", "qdisc", "add", "dev", device(), "ingress"});
    for (const uint16_t flow : flows) {
        const auto filter = [&](const char* order, std::vector<std::string> rest) {
            std::vector<std::string> command = {
                "tc",      "filter", "add", "dev",      device(),
                "ingress", "prio",   order, "protocol", "ip",
                "u32",     "match",  "ip",  "dport",    std::to_string(flow),
                "0xffff"};
            command.insert(command.end(), rest.begin(), rest.end());
            run(command);
        };
        // The length in the header of IP: below 64, or 64 to 71, for what acknowledges a part. The
        // answer to a write has 76.
        filter("1", {"match", "u16", "0", "0xffc0", "at", "2", "action", "pass"});
        filter("2", {"match", "u16", "0x40", "0xfff8", "at", "2", "action", "pass"});
        filter("3", {"action", "drop"});
    }
}

FlowOrder::FlowOrder(Host& host, uint16_t port) : host_(host), port_(port) {
    host_.disturb("delay 30ms");
    observer_ = std::thread([this] {
        while (!ended_) {
            for (const uint16_t flow : host_.flowsTo(port_)) {
                if (std::find(seen_.begin(), seen_.end(), flow) == seen_.end()) {
                    seen_.push_back(flow);
                }
            }
        }
    });
}

std::vector<uint16_t> FlowOrder::end() {
    if (!observer_.joinable()) return {};
    ended_ = true;
    observer_.join();
    host_.disturb("");
    const auto left = host_.flowsTo(port_);  // not those of who only asked
    std::erase_if(seen_, [&](uint16_t flow) { return !left.contains(flow); });
    return seen_;
}

void Host::loseLargerThan(unsigned bytes) {
    const std::string device = "data" + std::to_string(number_);
    const std::function<void(const std::vector<std::string>&)> ends[] = {
        run, [this](const auto& command) { runThere(command); }};
    for (const auto& at : ends) {
        if (losing_) at({"tc", "qdisc", "del", "dev", device, "ingress"});
        if (bytes == 0) continue;
        run({"modprobe", "-a", "sch_ingress", "cls_u32", "act_police"});
        at({"tc", "qdisc", "add", "dev", device, "ingress"});
        at({"tc",      "filter",   "add",  "dev",    device,
            "ingress", "protocol", "ip",   "u32",    "match",
            "u32",     "0",        "0",    "police", "rate",
            "10gbit",  "burst",    "10mb", "mtu",    std::to_string(bytes),
            "drop"});
    }
    losing_ = bytes != 0;
}

TargetNode::TargetNode(Host& host, int metadataPort, std::string name,
                       std::vector<std::string> files)
    : host_(host),
      metadataPort_(metadataPort),
      name_(std::move(name)),
      control_(testFolder() + "/control." + name_),
      files_(std::move(files)) {
    if (mkfifo(control_.c_str(), 0600) != 0) throw std::runtime_error("no fifo " + control_);
    start();
}

TargetNode::~TargetNode() {
    try {
        if (process_) end();
    } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
    }
    fs::remove(control_);
}

void TargetNode::start() {
    std::vector<std::string> command = {
        "fault_target",
        host_.name(),
        "http://" + host_.gateway() + ":" + std::to_string(metadataPort_) + "/metadata",
        name_,
        "trtype=tcp traddr=" + host_.address() + (host_.links() > 1 ? "," + host_.address(1) : ""),
        control_};
    command.insert(command.end(), files_.begin(), files_.end());
    process_ = std::make_unique<test_support::ChildProcess>(command);
    commands_ = 0;
    if (process_->waitForLine("ready").empty()) {
        throw std::runtime_error(name_ + " does not start: " + process_->output());
    }
    ids_.clear();
    for (const std::string& file : files_) ids_.push_back(idOf(file));
}

void TargetNode::kill() {
    process_->signal(SIGKILL);
    process_->wait();
    process_.reset();
}

void TargetNode::end() {
    send("end");
    const int status = process_->wait();
    const std::string output = process_->output();
    process_.reset();
    if (status != 0) {
        throw std::runtime_error(name_ + " ended with " + std::to_string(status) + ": " + output);
    }
}

void TargetNode::send(const std::string& line) {
    std::ofstream(control_) << line << std::endl;
}

void TargetNode::command(const std::string& line) {
    send(line);
    if (process_->waitForLine("done " + std::to_string(++commands_) + " ").empty()) {
        throw std::runtime_error(name_ + " fails at '" + line + "': " + process_->output());
    }
}

uint32_t TargetNode::idOf(const std::string& path) {
    // The last line that names it.
    const std::string& output = process_->output();
    const size_t found = output.rfind(" " + path + "\n");
    if (found == std::string::npos) throw std::runtime_error(name_ + " has no " + path);
    const size_t word = output.rfind(' ', found - 1);
    return static_cast<uint32_t>(std::stoul(output.substr(word + 1, found - word - 1)));
}

uint32_t TargetNode::add(const std::string& path) {
    command("add " + path);
    files_.push_back(path);
    ids_.push_back(idOf(path));
    return ids_.back();
}

void TargetNode::remove(const std::string& path) {
    command("remove " + path);
    const auto at = std::find(files_.begin(), files_.end(), path) - files_.begin();
    files_.erase(files_.begin() + at);
    ids_.erase(ids_.begin() + at);
}

PortLinks::PortLinks(const Host& host) : host_(host) {
    for (const auto& port : fs::directory_iterator("/sys/kernel/config/nvmet/ports")) {
        std::string at;
        std::ifstream(port.path() / "addr_traddr") >> at;
        if (at != host.address()) continue;
        for (const auto& link : fs::directory_iterator(port.path() / "subsystems")) {
            links_.emplace_back(link.path(), "/sys/kernel/config/nvmet/subsystems/" +
                                                 link.path().filename().string());
        }
    }
}

void PortLinks::remove() {
    for (const auto& [link, to] : links_) fs::remove(link);
}

void PortLinks::restore() {
    // There: a port listens in the network namespace of the process that links it.
    for (const auto& [link, to] : links_) host_.runThere({"ln", "-s", to, link});
}

void deleteController(const std::string& name) {
    std::ofstream("/sys/class/nvme/" + name + "/delete_controller") << "1" << std::flush;
}

std::string stateOf(const std::string& controller) {
    std::string state;
    std::getline(std::ifstream("/sys/class/nvme/" + controller + "/state"), state);
    return state;
}

namespace {

// "address" has the same; the kernel panics where it is read while a connection is let go of.
std::string udevFieldOf(const fs::path& controller, const std::string& name) {
    std::ifstream fields(controller / "uevent");
    for (std::string line; std::getline(fields, line);) {
        if (line.starts_with(name + "=")) return line.substr(name.size() + 1);
    }
    return "";
}

}  // namespace

std::string hostInterfaceOf(const std::string& controller) {
    return udevFieldOf("/sys/class/nvme/" + controller, "NVME_HOST_IFACE");
}

std::vector<std::string> controllersAt(const std::string& address) {
    std::vector<std::string> found;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator("/sys/class/nvme", gone)) {
        if (udevFieldOf(entry.path(), "NVME_TRADDR") == address) {
            found.push_back(entry.path().filename());
        }
    }
    return found;
}
