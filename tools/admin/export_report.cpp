// SPDX-License-Identifier: Apache-2.0
#include "export_report.h"

#include <json/json.h>

#include <algorithm>
#include <ctime>
#include <ostream>

#include "json_error.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

constexpr size_t kNameWidth = 12;

std::string spaces(size_t width, const std::string& text) {
    return std::string(text.size() < width ? width - text.size() : 0, ' ');
}

const char* nameOf(OwnerState state) {
    switch (state) {
        case OwnerState::kAlive:
            return "alive";
        case OwnerState::kDead:
            return "dead";
        case OwnerState::kForeign:
            return "foreign";
        case OwnerState::kUnknown:
            break;
    }
    return "unknown";
}

std::string utc(int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    char text[32];
    if (::gmtime_r(&time, &parts) == nullptr) return "";
    return std::string(text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

std::string ownerText(const Owner& owner) {
    if (owner.state == OwnerState::kForeign) return "not made by this transport";
    std::string text = nameOf(owner.state);
    if (owner.pid != 0) {
        text += ", process " + std::to_string(owner.pid) + " " + inQuotes(owner.command);
    } else if (owner.recorded) {
        text += ", process " + std::to_string(owner.recorded->pid);
        if (owner.state != OwnerState::kDead) text += " of another PID namespace";
    }
    if (owner.started) text += ", started " + utc(*owner.started);
    if (owner.recorded) {
        text += ", network namespace " + std::to_string(owner.recorded->network);
    }
    return text;
}

const char* proofText(Proof proof) {
    switch (proof) {
        case Proof::kUnsupported:
            return " by its name alone: this kernel's target cannot authenticate";
        case Proof::kNone:
            return " by its name alone: it has no key";
        case Proof::kHost:
            return " that proves who it is (DH-HMAC-CHAP)";
        case Proof::kBoth:
            return " that proves who it is, as the target does (DH-HMAC-CHAP)";
        case Proof::kUnknown:
            break;
    }
    return "; whether it has a key is not known: this takes root";
}

Json::Value jsonOf(Proof proof) {
    switch (proof) {
        case Proof::kUnsupported:
            return "unsupported";
        case Proof::kNone:
            return "none";
        case Proof::kHost:
            return "host";
        case Proof::kBoth:
            return "both";
        case Proof::kUnknown:
            break;
    }
    return Json::Value();
}

// The first line of a subsystem's property has its name in front.
class Property {
 public:
    Property(std::ostream& out, std::string name) : out_(out), name_(std::move(name)) {}
    void line(const std::string& text) {
        out_ << "  " << name_ << spaces(kNameWidth, name_) << text << '\n';
        name_.clear();
    }

 private:
    std::ostream& out_;
    std::string name_;
};

void printHosts(const ExportedSubsystem& subsystem, std::ostream& out) {
    Property allowed(out, "allowed");
    if (subsystem.anyHost) allowed.line("any host");
    for (const PermittedHost& host : subsystem.allowedHosts) {
        allowed.line(inQuotes(host.nqn) + proofText(host.proof));
    }
    if (!subsystem.anyHost && subsystem.allowedHosts.empty()) allowed.line("no host");

    if (!subsystem.connectedHosts) return;
    Property connected(out, "connected");
    for (const ConnectedHost& host : *subsystem.connectedHosts) {
        connected.line(inQuotes(host.nqn) +
                       (host.address.empty() ? "" : " from " + inQuotes(host.address)));
    }
    if (subsystem.connectedHosts->empty()) connected.line("no host");
}

void printNamespaces(const ExportedSubsystem& subsystem, std::ostream& out) {
    if (subsystem.namespaces.empty()) {
        Property(out, "files").line("none");
        return;
    }
    const auto row = [&](const std::string& nsid, const std::string& enabled,
                         const std::string& size, const std::string& file) {
        out << spaces(12, nsid) << nsid << "  " << enabled << spaces(7, enabled) << "  "
            << spaces(16, size) << size << "  " << file << '\n';
    };
    row("NSID", "ENABLED", "BYTES", "FILE");
    for (const ExportedNamespace& ns : subsystem.namespaces) {
        row(std::to_string(ns.nsid), ns.enabled ? "yes" : "no",
            ns.size ? std::to_string(*ns.size) : "unknown",
            ns.file ? inQuotes(*ns.file) : "unknown");
    }
}

template <class T>
Json::Value jsonOf(const std::optional<T>& value) {
    return value ? Json::Value(*value) : Json::Value();
}

Json::Value jsonOf(const PermittedHost& host) {
    Json::Value json;
    json["nqn"] = host.nqn;
    json["authentication"] = jsonOf(host.proof);
    return json;
}

Json::Value jsonOf(const ConnectedHost& host) {
    Json::Value json;
    json["nqn"] = host.nqn;
    json["address"] = host.address.empty() ? Json::Value() : Json::Value(host.address);
    return json;
}

template <class Number>
Json::Value numberOf(const std::optional<Number>& number) {
    return number ? Json::Value(static_cast<Json::UInt64>(*number)) : Json::Value();
}

Json::Value jsonOf(const ExportPort& port) {
    Json::Value json;
    json["id"] = port.id;
    json["network_namespace"] = numberOf(port.network);
    json["trtype"] = port.address.trtype;
    json["adrfam"] = port.address.adrfam;
    json["traddr"] = port.address.traddr;
    json["trsvcid"] = port.address.trsvcid;
    return json;
}

Json::Value jsonOf(const ExportedNamespace& ns) {
    Json::Value json;
    json["nsid"] = ns.nsid;
    json["enabled"] = ns.enabled;
    json["file"] = jsonOf(ns.file);
    json["size"] = numberOf(ns.size);
    return json;
}

Json::Value jsonOf(const Owner& owner) {
    Json::Value json;
    json["state"] = nameOf(owner.state);
    json["pid"] = owner.pid == 0 ? Json::Value() : Json::Value(owner.pid);
    json["command"] = owner.command.empty() ? Json::Value() : Json::Value(owner.command);
    json["started"] = owner.started ? Json::Value(utc(*owner.started)) : Json::Value();
    const auto& recorded = owner.recorded;
    json["recorded_pid"] = recorded ? Json::Value(recorded->pid) : Json::Value();
    json["pid_namespace"] =
        recorded ? Json::Value(static_cast<Json::UInt64>(recorded->pidNamespace)) : Json::Value();
    json["network_namespace"] =
        recorded ? Json::Value(static_cast<Json::UInt64>(recorded->network)) : Json::Value();
    return json;
}

Json::Value jsonOf(const ConnectionPath& path) {
    Json::Value json;
    json["controller"] = path.controller;
    json["transport"] = path.transport;
    json["address"] = path.address;
    json["state"] = path.state;
    json["bytes_read"] = static_cast<Json::UInt64>(path.bytesRead);
    json["bytes_written"] = static_cast<Json::UInt64>(path.bytesWritten);
    return json;
}

Json::Value jsonOf(const ExportedSubsystem& subsystem);
Json::Value jsonOf(const ConnectedSubsystem& subsystem);

template <class T>
Json::Value arrayOf(const std::vector<T>& items) {
    Json::Value json(Json::arrayValue);
    for (const T& item : items) {
        if constexpr (std::is_same_v<T, std::string>) {
            json.append(item);
        } else {
            json.append(jsonOf(item));
        }
    }
    return json;
}

Json::Value jsonOf(const ExportedSubsystem& subsystem) {
    Json::Value json;
    json["nqn"] = subsystem.nqn;
    json["owner"] = jsonOf(subsystem.owner);
    json["segment"] = jsonOf(subsystem.segment);
    json["ports"] = arrayOf(subsystem.ports);
    json["any_host"] = subsystem.anyHost;
    json["allowed_hosts"] = arrayOf(subsystem.allowedHosts);
    json["connected_hosts"] =
        subsystem.connectedHosts ? arrayOf(*subsystem.connectedHosts) : Json::Value();
    json["namespaces"] = arrayOf(subsystem.namespaces);
    return json;
}

Json::Value jsonOf(const ConnectedSubsystem& subsystem) {
    Json::Value json;
    json["nqn"] = subsystem.nqn;
    json["io_policy"] =
        subsystem.ioPolicy.empty() ? Json::Value() : Json::Value(subsystem.ioPolicy);
    json["paths"] = arrayOf(subsystem.paths);
    return json;
}

}  // namespace

void printTable(const ExportList& list, const std::vector<ConnectedSubsystem>& connections,
                std::ostream& out) {
    if (list.subsystems.empty()) out << "nothing is exported\n";
    for (const ExportedSubsystem& subsystem : list.subsystems) {
        out << "subsystem " << inQuotes(subsystem.nqn) << '\n';
        Property(out, "owner").line(ownerText(subsystem.owner));
        if (subsystem.owner.state != OwnerState::kForeign) {
            Property(out, "segment")
                .line(subsystem.segment ? inQuotes(*subsystem.segment) : "unknown");
        }
        Property port(out, "port");
        for (const ExportPort& used : subsystem.ports) {
            port.line(used.id + ": " + toString(used.address) +
                      (used.network ? ", network namespace " + std::to_string(*used.network) : ""));
        }
        if (subsystem.ports.empty()) port.line("none: no host can reach it");
        printHosts(subsystem, out);
        printNamespaces(subsystem, out);
        out << '\n';
    }
    for (const ConnectedSubsystem& subsystem : connections) {
        out << "connected to " << inQuotes(subsystem.nqn) << '\n';
        Property policy(out, "policy");
        policy.line(subsystem.ioPolicy.empty() ? "none: the kernel does not join paths"
                                               : subsystem.ioPolicy);
        Property path(out, "path");
        for (const ConnectionPath& one : subsystem.paths) {
            path.line(one.controller + ": " + one.transport + " " + one.address + ", " + one.state +
                      ", " + std::to_string(one.bytesRead) + " bytes read, " +
                      std::to_string(one.bytesWritten) + " written");
        }
        out << '\n';
    }
    for (const std::string& note : list.notes) out << "note: " << note << '\n';
}

void printJson(const ExportList& list, const std::vector<ConnectedSubsystem>& connections,
               std::ostream& out) {
    Json::Value json;
    json["schema"] = kJsonSchema;
    json["subsystems"] = arrayOf(list.subsystems);
    json["connections"] = arrayOf(connections);
    json["notes"] = arrayOf(list.notes);
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "  ";
    out << Json::writeString(builder, json) << '\n';
}

}  // namespace mooncake::nvmeof_generic::admin
