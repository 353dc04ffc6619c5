// SPDX-License-Identifier: Apache-2.0
#include "metrics_text.h"

#include <cmath>
#include <cstdio>
#include <map>

namespace mooncake::store {
namespace {

using Numbers = ClientStatistics;

struct Metric {
    const char* name;  // after the prefix; what stands in braces are labels
    const char* help;  // null: the metric before has it
    uint64_t Numbers::*value;
};

constexpr Metric kMetrics[] = {
    {"gets_total", "Objects that were asked for.", &Numbers::gets},
    {"hits_total", "Objects that were asked for and given.", &Numbers::hits},
    {"misses_total{cause=\"absent\"}", "Objects that were asked for and not given, by cause.",
     &Numbers::misses_absent},
    {"misses_total{cause=\"evicted\"}", nullptr, &Numbers::misses_evicted},
    {"misses_total{cause=\"unreachable\"}", nullptr, &Numbers::misses_unreachable},
    {"misses_total{cause=\"damaged\"}", nullptr, &Numbers::misses_damaged},
    {"get_bytes_total", "Bytes of objects that were given.", &Numbers::get_bytes},
    {"puts_total", "Objects that were to be put.", &Numbers::puts},
    {"stored_total", "Objects that were written and committed.", &Numbers::stored},
    {"existing_total", "Objects to be put whose key was there.", &Numbers::existing},
    {"put_bytes_total", "Bytes of objects that were committed.", &Numbers::put_bytes},
    {"put_failures_total", "Objects that could not be put.", &Numbers::put_failures},
    {"checksum_failures_total", "Copies whose bytes were not those that were put.",
     &Numbers::checksum_failures},
    {"replicas_dropped_total", "Bad copies that were taken out of the directory.",
     &Numbers::replicas_dropped},
    {"failovers_total", "Gets that went on with another copy.", &Numbers::failovers},
    {"retried_puts_total", "Objects that were written again elsewhere.", &Numbers::retried_puts},
    {"cache_lookups_total{result=\"hit\"}", "Entries that were looked for in this client's memory.",
     &Numbers::cache_hits},
    {"cache_lookups_total{result=\"miss\"}", nullptr, &Numbers::cache_misses},
    {"regions_taken_total", "Regions that this client took to fill them.", &Numbers::regions_taken},
    {"regions_evicted_total", "Regions that this client has made clean.",
     &Numbers::regions_evicted},
    {"objects_evicted_total", "Objects whose region this client has made clean.",
     &Numbers::objects_evicted},
    {"objects_moved_total", "Pinned objects that were moved out of such a region.",
     &Numbers::objects_moved},
    {"regions_sealed_total", "Regions that clients which are gone have left open.",
     &Numbers::regions_sealed},
    {"put_waits_total", "Times a put found no clean region and made one.", &Numbers::put_waits},
    {"leases_lost_total", "Leases of this client that ended before it did.", &Numbers::leases_lost},
    {"data_bytes_total{way=\"direct\"}",
     "Bytes of objects straight from and to the caller's memory, and through a copy.",
     &Numbers::direct_bytes},
    {"data_bytes_total{way=\"staged\"}", nullptr, &Numbers::staged_bytes},
    {"engine_requests_total", "Requests to the engine for them.", &Numbers::engine_requests},
    {"directory_round_trips_total", "Requests to the directory.", &Numbers::directory_round_trips},
};

constexpr char kPrefix[] = "mooncake_store_";

void head(std::string* text, const std::string& name, const std::string& help, const char* type) {
    *text += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

std::string seconds(double value) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.6f", value);
    // A comma where the program's locale has one is no number to Prometheus.
    for (char& c : text) {
        if (c == ',') c = '.';
    }
    return text;
}

std::string escaped(const std::string& value) {
    std::string text;
    for (const char c : value) {
        if (c == '\\' || c == '"') text += '\\';
        if (c == '\n') {
            text += "\\n";
        } else {
            text += c;
        }
    }
    return text;
}

}  // namespace

std::string metricsText(const ClientStatistics& numbers) {
    std::string text;
    for (const Metric& metric : kMetrics) {
        const std::string name = kPrefix + std::string(metric.name);
        if (metric.help != nullptr) {
            head(&text, name.substr(0, name.find('{')), metric.help, "counter");
        }
        text += name + " " + std::to_string(numbers.*metric.value) + "\n";
    }
    return text;
}

void appendDurations(std::string* text, const std::string& name, const std::string& help,
                     const Durations& durations) {
    head(text, name, help, "histogram");
    const auto buckets = durations.buckets();
    uint64_t all = 0;
    for (size_t i = 0; i < buckets.size(); ++i) {
        all += buckets[i];
        const bool is_last = i + 1 == buckets.size();
        const std::string bound = is_last ? "+Inf" : seconds(std::ldexp(1e-6, static_cast<int>(i)));
        *text += name + "_bucket{le=\"" + bound + "\"} " + std::to_string(all) + "\n";
    }
    *text += name + "_sum " + seconds(static_cast<double>(durations.sumMicroseconds()) * 1e-6) +
             "\n" + name + "_count " + std::to_string(all) + "\n";
}

void appendFiles(std::string* text, const FileMap& files) {
    const std::map<FileNumber, const KnownFile*> ordered = [&] {
        std::map<FileNumber, const KnownFile*> all;
        for (const auto& [number, file] : files) {
            if (file.info.state == FileState::kActive) all[number] = &file;
        }
        return all;
    }();
    const auto each = [&](const std::string& name, const char* help, const auto& value) {
        const std::string metric = kPrefix + name;
        head(text, metric, help, "gauge");
        for (const auto& [number, file] : ordered) {
            const std::string node = file->info.mount ? escaped(file->info.mount->node) : "";
            const std::string path = file->info.mount ? escaped(file->info.mount->path) : "";
            *text += metric + "{file=\"" + std::to_string(number) + "\",node=\"" + node +
                     "\",path=\"" + path + "\"} " + std::to_string(value(*file)) + "\n";
        }
    };
    each("file_bytes", "Size of each file of the store, for objects.", [](const KnownFile& file) {
        return uint64_t{file.geometry.regions} * file.geometry.region_bytes;
    });
    each("file_clean_bytes", "Space of each file that needs no eviction.",
         [](const KnownFile& file) {
             return uint64_t{file.load->clean.load()} * file.geometry.region_bytes;
         });
    each("file_in_flight_bytes", "What this client has on its way to or from each file.",
         [](const KnownFile& file) { return file.load->in_flight.load(); });
    each("file_served", "Whether a node serves the file.",
         [](const KnownFile& file) { return uint64_t{file.isServed()}; });
}

std::string summaryText(const ClientStatistics& numbers, const FileMap& files) {
    constexpr uint64_t kMiB = 1 << 20;
    uint64_t all = 0, clean = 0, served = 0;
    for (const auto& [number, file] : files) {
        if (file.info.state != FileState::kActive) continue;
        all += uint64_t{file.geometry.regions} * file.geometry.region_bytes;
        clean += uint64_t{file.load->clean.load()} * file.geometry.region_bytes;
        served += file.isServed();
    }
    return "gets " + std::to_string(numbers.gets) + ", hits " + std::to_string(numbers.hits) +
           " (" + std::to_string(numbers.get_bytes / kMiB) + " MiB), puts " +
           std::to_string(numbers.puts) + ", stored " + std::to_string(numbers.stored) + " (" +
           std::to_string(numbers.put_bytes / kMiB) + " MiB), failed " +
           std::to_string(numbers.put_failures) + ", evicted regions " +
           std::to_string(numbers.regions_evicted) + ", checksum failures " +
           std::to_string(numbers.checksum_failures) + "; files served " + std::to_string(served) +
           ", " + std::to_string(clean / kMiB) + " of " + std::to_string(all / kMiB) + " MiB clean";
}

}  // namespace mooncake::store
