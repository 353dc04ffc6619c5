// SPDX-License-Identifier: Apache-2.0
#include "bench/figures_report.h"

#include <json/json.h>

#include "bench/plain_format.h"
#include "bench/report.h"

namespace mooncake::bench {
namespace {

constexpr double kPercentiles[] = {50, 90, 95, 99, 99.9, 99.99};
constexpr double kGiB = 1 << 30;

double perSecond(uint64_t count, const RunResult& run) {
    return run.seconds > 0 ? static_cast<double>(count) / run.seconds : 0;
}

double cpuPerGiB(const RunResult& run) {
    if (run.completedBytes == 0) return 0;
    return run.cpu.total() / (static_cast<double>(run.completedBytes) / kGiB);
}

double microseconds(uint64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1000;
}

std::string latencies(const LatencyHistogram& latency) {
    std::string text;
    for (const double percent : kPercentiles) {
        text += plainFormat("p%g %.1f, ", percent, microseconds(latency.percentile(percent)));
    }
    return text + plainFormat("max %.1f us", microseconds(latency.max()));
}

// Empty where the transport does not count.
std::string submitCalls(const RunResult& run) {
    return run.submits ? std::to_string(run.submits->calls) : "";
}

std::string meanBatch(const RunResult& run) {
    return run.submits ? plainFormat("%.2f", run.submits->meanBatch()) : "";
}

struct Direction {
    const char* name;
    const Traffic& traffic;
    const LatencyHistogram& latency;
};

std::vector<Direction> directions(const RunResult& run) {
    std::vector<Direction> used;
    const Figures& all = run.figures;
    if (all.read.requests > 0) used.push_back({"read", all.read, all.readLatency});
    if (all.written.requests > 0) used.push_back({"write", all.written, all.writeLatency});
    return used;
}

constexpr char kCsvHeader[] =
    "operation,direction,file,block_size,batch_size,iodepth,threads,runtime,io_bytes,total_ios,"
    "bw_bytes,iops,clat_p50_ns,clat_p90_ns,clat_p95_ns,clat_p99_ns,clat_p99.9_ns,clat_p99.99_ns,"
    "clat_max_ns,usr_cpu_s,sys_cpu_s,cpu_s_per_gib,submit_calls,mean_batch\n";

// As RFC 4180 has it.
std::string csvText(const std::string& text) {
    std::string quotedText = "\"";
    for (const char c : text) quotedText += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quotedText + "\"";
}

Json::Value latencyJson(const LatencyHistogram& latency) {
    Json::Value value;
    value["min"] = Json::UInt64{latency.min()};
    value["max"] = Json::UInt64{latency.max()};
    value["mean"] = latency.mean();
    value["stddev"] = latency.deviation();
    value["N"] = Json::UInt64{latency.count()};
    for (const double percent : kPercentiles) {
        value["percentile"][plainFormat("%.6f", percent)] =
            Json::UInt64{latency.percentile(percent)};
    }
    return value;
}

Json::Value trafficJson(const Traffic& traffic, const RunResult& run) {
    Json::Value value;
    value["io_bytes"] = Json::UInt64{traffic.bytes};
    value["total_ios"] = Json::UInt64{traffic.requests};
    value["bw_bytes"] = static_cast<Json::UInt64>(perSecond(traffic.bytes, run));
    value["iops"] = perSecond(traffic.requests, run);
    value["runtime"] = static_cast<Json::UInt64>(run.seconds * 1000);
    return value;
}

}  // namespace

std::string FiguresReport::details(const RunResult& run) const {
    std::string text;
    for (const Direction& direction : directions(run)) {
        text += plainFormat("%s: %.0f requests/s, latency ", direction.name,
                            perSecond(direction.traffic.requests, run)) +
                latencies(direction.latency) + "\n";
    }
    text += plainFormat("CPU: %.2f s user, %.2f s system, %.3f s per GiB\n", run.cpu.user,
                        run.cpu.system, cpuPerGiB(run));
    if (run.submits) {
        text += plainFormat("submit calls: %llu, mean batch %.2f I/Os\n",
                            static_cast<unsigned long long>(run.submits->calls),
                            run.submits->meanBatch());
    }
    for (const PathTraffic& path : run.paths) {
        const PathStats& now = path.now;
        text += "path " + now.address + ": " + now.transport + ", " + now.state;
        if (!now.controller.empty()) text += ", " + now.controller;
        if (!now.policy.empty()) text += ", " + now.policy;
        text += ", " + std::to_string(path.bytesRead) + " bytes read, " +
                std::to_string(path.bytesWritten) + " written\n";
    }
    if (files_.size() < 2) return text;
    for (size_t i = 0; i < files_.size() && i < run.figures.files.size(); ++i) {
        const FileTraffic& file = run.figures.files[i];
        text += "file " + std::to_string(files_[i].id) + " (" + files_[i].path + "): " +
                formatThroughput(file.read.bytes + file.written.bytes, run.seconds,
                                 options_.reportUnit, options_.reportPrecision) +
                plainFormat(", %.0f requests/s\n",
                            perSecond(file.read.requests + file.written.requests, run));
    }
    return text;
}

std::string FiguresReport::tableRow(const RunResult& run) const {
    std::string text;
    if (runs_.size() == 1) {
        text =
            plainFormat("%10s %7s %7s %7s %16s %12s %10s %10s %10s %10s %9s %10s %10s\n", "block",
                        "batch", "depth", "threads", "throughput", "requests/s", "p50 us", "p99 us",
                        "p99.9 us", "max us", "CPU s/GiB", "submits", "mean batch");
    }
    LatencyHistogram latency = run.figures.readLatency;
    latency.add(run.figures.writeLatency);
    const std::string rate = formatThroughput(run.completedBytes, run.seconds, options_.reportUnit,
                                              options_.reportPrecision);
    return text +
           plainFormat("%10llu %7llu %7llu %7llu %16s %12.0f %10.1f %10.1f %10.1f %10.1f %9.3f",
                       static_cast<unsigned long long>(run.shape.blockSize),
                       static_cast<unsigned long long>(run.shape.batchSize),
                       static_cast<unsigned long long>(run.shape.batchSize * run.shape.window),
                       static_cast<unsigned long long>(run.shape.threads), rate.c_str(),
                       perSecond(latency.count(), run), microseconds(latency.percentile(50)),
                       microseconds(latency.percentile(99)), microseconds(latency.percentile(99.9)),
                       microseconds(latency.max()), cpuPerGiB(run)) +
           plainFormat(" %10s %10s\n", submitCalls(run).c_str(), meanBatch(run).c_str());
}

std::string FiguresReport::csvRows(const RunResult& run) const {
    std::string text = runs_.size() == 1 ? kCsvHeader : "";
    const auto row = [&](const char* direction, const std::string& file, const Traffic& traffic,
                         const LatencyHistogram* latency) {
        text += std::string(nameOf(options_.operation)) + "," + direction + "," + file + "," +
                std::to_string(run.shape.blockSize) + "," + std::to_string(run.shape.batchSize) +
                "," + std::to_string(run.shape.batchSize * run.shape.window) + "," +
                std::to_string(run.shape.threads) + plainFormat(",%.6f,", run.seconds) +
                std::to_string(traffic.bytes) + "," + std::to_string(traffic.requests) +
                plainFormat(",%.0f,%.2f", perSecond(traffic.bytes, run),
                            perSecond(traffic.requests, run));
        for (const double percent : kPercentiles) {
            text += "," + (latency ? std::to_string(latency->percentile(percent)) : "");
        }
        // Times, CPU and submits are those of all files together.
        text += latency ? "," + std::to_string(latency->max()) +
                              plainFormat(",%.3f,%.3f,%.4f,", run.cpu.user, run.cpu.system,
                                          cpuPerGiB(run)) +
                              submitCalls(run) + "," + meanBatch(run) + "\n"
                        : std::string(",,,,,,\n");
    };
    for (const Direction& direction : directions(run)) {
        row(direction.name, "", direction.traffic, &direction.latency);
    }
    for (size_t i = 0; i < files_.size() && i < run.figures.files.size(); ++i) {
        const FileTraffic& file = run.figures.files[i];
        const std::string name = csvText(files_[i].path);
        if (file.read.requests > 0) row("read", name, file.read, nullptr);
        if (file.written.requests > 0) row("write", name, file.written, nullptr);
    }
    return text;
}

std::string FiguresReport::json() const {
    Json::Value jobs(Json::arrayValue);
    for (const RunResult& run : runs_) {
        Json::Value job;
        Json::Value& asked = job["job options"];
        asked["rw"] = std::string(nameOf(options_.operation));
        asked["bs"] = Json::UInt64{run.shape.blockSize};
        asked["iodepth"] = Json::UInt64{run.shape.batchSize * run.shape.window};
        asked["iodepth_batch"] = Json::UInt64{run.shape.batchSize};
        asked["numjobs"] = Json::UInt64{run.shape.threads};
        job["error"] = judge(run, options_) ? 1 : 0;
        job["total_err"] = Json::UInt64{run.failed};
        for (const Direction& direction : directions(run)) {
            job[direction.name] = trafficJson(direction.traffic, run);
            job[direction.name]["clat_ns"] = latencyJson(direction.latency);
        }
        const double seconds = run.seconds > 0 ? run.seconds : 1;
        job["usr_cpu"] = run.cpu.user / seconds * 100;
        job["sys_cpu"] = run.cpu.system / seconds * 100;
        job["cpu_seconds_per_gib"] = cpuPerGiB(run);
        if (run.submits) {
            job["submit_calls"] = Json::UInt64{run.submits->calls};
            job["mean_batch"] = run.submits->meanBatch();
        }
        job["paths"] = Json::Value(Json::arrayValue);
        for (const PathTraffic& traffic : run.paths) {
            Json::Value path;
            path["address"] = traffic.now.address;
            path["transport"] = traffic.now.transport;
            path["state"] = traffic.now.state;
            path["controller"] = traffic.now.controller;
            path["policy"] = traffic.now.policy;
            path["bytes_read"] = Json::UInt64{traffic.bytesRead};
            path["bytes_written"] = Json::UInt64{traffic.bytesWritten};
            job["paths"].append(path);
        }
        job["batches"] = Json::UInt64{run.batches};
        job["files"] = Json::Value(Json::arrayValue);
        for (size_t i = 0; i < files_.size() && i < run.figures.files.size(); ++i) {
            Json::Value file;
            file["id"] = files_[i].id;
            file["filename"] = files_[i].path;
            file["read"] = trafficJson(run.figures.files[i].read, run);
            file["write"] = trafficJson(run.figures.files[i].written, run);
            job["files"].append(file);
        }
        if (options_.verify) {
            job["verified_blocks"] = Json::UInt64{run.tally.good};
            job["mismatches"] = Json::UInt64{run.mismatches};
        }
        jobs.append(job);
    }
    Json::Value document;
    document["jobs"] = jobs;
    return document.toStyledString();
}

std::string FiguresReport::add(const RunResult& run) {
    runs_.push_back(run);
    if (options_.format == OutputFormat::kJson) return "";
    if (options_.format == OutputFormat::kCsv) return csvRows(run);
    std::string verified = verifyLine(run, options_);
    if (!verified.empty()) verified += "\n";
    if (options_.shapes.size() > 1) return tableRow(run) + verified;
    return summaryLine(run, options_) + "\n" + details(run) + verified;
}

std::string FiguresReport::end() const {
    return options_.format == OutputFormat::kJson ? json() : "";
}

}  // namespace mooncake::bench
