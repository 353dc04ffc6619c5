// SPDX-License-Identifier: Apache-2.0
// The transports that are installed, and which of them serves which segment. Whoever submits or
// asks reads a snapshot of it, in a read section: without a lock, and writing nothing that other
// threads read.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "line_allocator.h"
#include "read_section.h"
#include "transport/progress_source.h"
#include "transport/transport.h"

namespace mooncake {

// Every function may be called from any thread.
class TransportTable {
 public:
    // Never changed once it is published.
    class alignas(64) Snapshot : public Retired {
     public:
        // Null where the segment has not been looked up yet.
        Transport* find(Transport::SegmentID segment) const {
            for (size_t i = placeOf(segment); routes_[i].transport != nullptr;
                 i = (i + 1) & (routes_.size() - 1)) {
                if (routes_[i].segment == segment) return routes_[i].transport;
            }
            return nullptr;
        }

        // The transports that can be asked for progress.
        const std::vector<ProgressSource*>& sources() const { return sources_; }
        // Whether there is one that cannot.
        bool hasBlind() const { return blind_; }

     private:
        friend class TransportTable;
        struct Route {
            Transport::SegmentID segment = 0;
            Transport* transport = nullptr;  // null: the place is free
        };

        explicit Snapshot(size_t places) : routes_(places) {}
        size_t placeOf(Transport::SegmentID segment) const {
            // Ids are small numbers in a row.
            return segment * 0x9e3779b97f4a7c15 >> 32 & (routes_.size() - 1);
        }
        void add(const Route& route);

        std::vector<Route, LineAllocator<Route>>
            routes_;  // a power of two, at most half of it in use
        size_t used_ = 0;
        uint64_t version_ = 0;  // of the metadata that the routes come from
        std::vector<ProgressSource*> sources_;
        bool blind_ = false;
    };

    // While one lives, the transports that it gives are not destroyed. Kept for one call of the
    // engine, and not over the destruction of the table.
    class Reader {
     public:
        explicit Reader(TransportTable& table) noexcept
            : section_(table.domain_),
              table_(table),
              snapshot_(table.published_.load(std::memory_order_seq_cst)) {}

        // False: there is no memory. Then nothing else may be called.
        explicit operator bool() const { return static_cast<bool>(section_); }
        const Snapshot* operator->() const { return snapshot_; }

        // The transport of a segment: null, and the cause in *status, where there is none.
        // Throws std::bad_alloc.
        Transport* find(Transport::SegmentID segment, Status* status) const {
            if (snapshot_->version_ == table_.metadata_->routeVersion()) {
                if (Transport* const transport = snapshot_->find(segment)) return transport;
            }
            return table_.lookUp(segment, status);
        }

     private:
        const ReadSection section_;
        TransportTable& table_;
        const Snapshot* const snapshot_;
    };

    explicit TransportTable(std::shared_ptr<TransferMetadata> metadata);
    // No transport may be left.
    ~TransportTable();

    // There is none of this protocol yet. Waits for no reader.
    void add(const std::string& proto, std::shared_ptr<Transport> transport);
    // Takes a transport out and returns it when no reader can have it any more; null where there is
    // none. Not to be called by a reader.
    std::shared_ptr<Transport> remove(const std::string& proto);

    // Null where there is none.
    Transport* get(const std::string& proto) const;
    std::vector<Transport*> list() const;
    // Empty without any.
    std::string anyProtocol() const;

 private:
    Transport* lookUp(Transport::SegmentID segment, Status* status);
    std::unique_ptr<Snapshot> next(bool with_routes) const;
    void publish(std::unique_ptr<Snapshot> snapshot) noexcept;

    const std::shared_ptr<TransferMetadata> metadata_;
    ReadDomain domain_;
    // Read with each call, written when a transport or segment comes or goes.
    alignas(64) std::atomic<const Snapshot*> published_{nullptr};

    // Of what follows, and of publications. Taken before the metadata's locks.
    alignas(64) mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Transport>> transports_;
    std::unique_ptr<Snapshot> current_;  // the one that is published
};

}  // namespace mooncake
