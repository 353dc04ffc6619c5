// SPDX-License-Identifier: Apache-2.0
#include "stats_text.h"

#include <cstdio>
#include <cstring>
#include <functional>

#include "transport/nvmeof_generic_transport/common/decimal.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr size_t kLongestName = 256;

std::string label(const std::string& text) {
    std::string safe;
    for (const char c : text.substr(0, kLongestName)) {
        if (c == '"' || c == '\\') safe += '\\';
        safe += c >= ' ' && c <= '~' ? c : '?';
    }
    return safe;
}

std::string inSeconds(uint64_t micros) {
    return decimal(static_cast<double>(micros) / 1e6, 6);
}

std::string labels(const SegmentStats& segment) {
    return "segment=\"" + label(segment.name) + "\",id=\"" + std::to_string(segment.segmentId) +
           "\"";
}

std::string labels(const SegmentStats& segment, const FileStats& file) {
    return labels(segment) + ",file=\"" + std::to_string(file.fileId) + "\"";
}

class Text {
 public:
    explicit Text(const std::string& process)
        : all_(process.empty() ? "" : "process=\"" + label(process) + "\"") {}

    void family(const char* name, const char* type, const char* help) {
        name_ = std::string("nvmeof_generic_") + name;
        text_ += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n";
    }
    void line(const std::string& labels, const std::string& value, const char* suffix = "") {
        std::string braced = all_ + (all_.empty() || labels.empty() ? "" : ",") + labels;
        if (!braced.empty()) braced = "{" + braced + "}";
        text_ += name_ + suffix + braced + " " + value + "\n";
    }
    void line(const std::string& labels, uint64_t value, const char* suffix = "") {
        line(labels, std::to_string(value), suffix);
    }
    std::string take() { return std::move(text_); }

 private:
    const std::string all_;
    std::string name_;
    std::string text_;
};

void histogram(Text& text, const std::string& labels, const LatencyHistogram& latency) {
    uint64_t upToHere = 0;
    for (size_t i = 0; i < LatencyHistogram::kBounded; ++i) {
        upToHere += latency.buckets[i];
        text.line(labels + ",le=\"" + inSeconds(LatencyHistogram::boundMicroseconds(i)) + "\"",
                  upToHere, "_bucket");
    }
    upToHere += latency.buckets.back();
    text.line(labels + ",le=\"+Inf\"", upToHere, "_bucket");
    text.line(labels, inSeconds(latency.totalMicroseconds), "_sum");
    text.line(labels, upToHere, "_count");
}

void targetFamilies(Text& text, const TargetStats& target) {
    const std::string ours =
        "segment=\"" + label(target.segment) + "\",address=\"" + label(target.address) + "\"";
    const auto one = [&](const char* name, const char* type, const char* help, uint64_t value) {
        text.family(name, type, help);
        text.line(ours, value);
    };
    one("target_files", "gauge", "Files that are exported", target.files);
    one("target_bytes", "gauge", "Bytes of them that remote hosts reach", target.bytes);
    text.family("target_withdrawn_files_total", "counter",
                "Files that were exported no more because they had changed");
    for (const auto& [reason, count] : target.withdrawn) {
        text.line(ours + ",reason=\"" + label(reason) + "\"", count);
    }
    one("target_any_host", "gauge", "1 where every host may connect", target.anyHost);
    one("target_allowed_hosts", "gauge", "Hosts that may connect, where not every host may",
        target.allowedHosts);
    if (target.tcpConnections) {
        one("target_tcp_connections", "gauge",
            "TCP connections at the port, also to other targets there; a host has one per queue",
            *target.tcpConnections);
    }
    if (target.controllers) {
        text.family("target_controllers", "gauge", "Controllers by host NQN");
        for (const auto& [host, count] : *target.controllers) {
            text.line(ours + ",host=\"" + label(host) + "\"", count);
        }
    }
    one("target_record_published", "gauge",
        "1 where the metadata service has the record as it is to be", target.published);
    one("target_publications_total", "counter", "Publications of the record that succeeded",
        target.publications);
    one("target_publication_failures_total", "counter", "Publications of the record that failed",
        target.publicationFailures);
    text.family("target_publication_age_seconds", "gauge",
                "Since the last publication that succeeded");
    text.line(ours, decimal(target.sincePublication, 6));
}

}  // namespace

std::string statsText(const TransportStats& given, const std::string& process) {
    Text text(process);
    // A segment whose record was never seen has no name yet, and would get another series with it.
    TransportStats stats = given;
    std::erase_if(stats.segments, [](const SegmentStats& segment) { return segment.name.empty(); });
    const auto ofSegments = [&](const auto& value) {
        for (const auto& segment : stats.segments) text.line(labels(segment), value(segment));
    };
    const auto ofFiles = [&](const std::function<void(const std::string&, const FileStats&)>& add) {
        for (const auto& segment : stats.segments) {
            for (const auto& file : segment.files) add(labels(segment, file), file);
        }
    };
    const auto eachWay = [](const std::string& labels, const FileStats& file, const auto& add) {
        add(labels + ",operation=\"read\"", file.reads);
        add(labels + ",operation=\"write\"", file.writes);
    };

    text.family("segment_state", "gauge",
                "1 for the state that a segment is in: idle, connecting, ready, degraded or gone");
    for (const auto& segment : stats.segments) {
        text.line(labels(segment) + ",state=\"" + name(segment.state) + "\"", uint64_t{1});
    }
    const auto pathLabels = [](const SegmentStats& segment, const PathStats& path) {
        return labels(segment) + ",path=\"" + label(path.address) + "\",transport=\"" +
               label(path.transport) + "\"";
    };
    const auto ofPaths = [&](const char* name, const char* type, const char* help,
                             const auto& value) {
        text.family(name, type, help);
        for (const auto& segment : stats.segments) {
            for (const auto& path : segment.paths) {
                text.line(pathLabels(segment, path), value(path));
            }
        }
    };
    ofPaths("path_live", "gauge", "1 where the kernel's controller of the path is up",
            [](const PathStats& path) { return uint64_t{path.state == "live"}; });
    text.family("path_policy", "gauge",
                "1 for the kernel's way of sharing I/O between the segment's paths");
    for (const auto& segment : stats.segments) {
        for (const auto& path : segment.paths) {
            if (path.policy.empty()) continue;
            text.line(pathLabels(segment, path) + ",policy=\"" + label(path.policy) + "\"",
                      uint64_t{1});
        }
    }
    ofPaths("path_connects_total", "counter", "Controllers of the path that were made or joined",
            [](const PathStats& path) { return path.connects; });
    ofPaths("path_losses_total", "counter", "Times that the path was seen to be lost",
            [](const PathStats& path) { return path.losses; });
    ofPaths("path_failed_attempts_total", "counter", "Failures to connect the path",
            [](const PathStats& path) { return path.failedAttempts; });
    ofPaths("path_read_bytes", "gauge", "Bytes read over its controller of now, by all processes",
            [](const PathStats& path) { return path.bytesRead; });
    ofPaths("path_written_bytes", "gauge",
            "Bytes written over its controller of now, by all processes",
            [](const PathStats& path) { return path.bytesWritten; });
    text.family("connects_total", "counter",
                "Connections made or joined; all but the first are reconnects");
    ofSegments([](const SegmentStats& segment) { return segment.connects; });
    text.family("failed_attempts_total", "counter", "Failures to look a segment up or to connect");
    ofSegments([](const SegmentStats& segment) { return segment.failedAttempts; });
    text.family("waiting_requests", "gauge",
                "Requests that wait for a connection, a device or a retry");
    ofSegments([](const SegmentStats& segment) { return segment.waiting; });
    text.family("submit_calls_total", "counter", "Calls of io_submit");
    text.line("", stats.submits.calls);
    text.family("submitted_ios_total", "counter", "I/Os that the kernel took from them");
    text.line("", stats.submits.ios);
    text.family("bytes_total", "counter", "Bytes moved");
    ofFiles([&](const std::string& labels, const FileStats& file) {
        eachWay(labels, file, [&](const std::string& all, const OperationStats& operation) {
            text.line(all, operation.bytes);
        });
    });
    text.family("errors_total", "counter", "Failed requests by the cause's name in errno.h");
    ofFiles([&](const std::string& labels, const FileStats& file) {
        for (const auto& [code, count] : file.errors) {
            const char* known = strerrorname_np(code);
            text.line(labels + ",errno=\"" + (known != nullptr ? known : "other") + "\"", count);
        }
    });
    text.family("retries_total", "counter", "Attempts beyond a request's first");
    ofFiles(
        [&](const std::string& labels, const FileStats& file) { text.line(labels, file.retries); });
    text.family("request_seconds", "histogram",
                "From submission to the end, of requests that completed and that failed");
    ofFiles([&](const std::string& labels, const FileStats& file) {
        eachWay(labels, file, [&](const std::string& all, const OperationStats& operation) {
            if (operation.latency.count() != 0) histogram(text, all, operation.latency);
        });
    });
    if (stats.target) targetFamilies(text, *stats.target);
    return text.take();
}

}  // namespace mooncake::nvmeof_generic
