// SPDX-License-Identifier: Apache-2.0
#include "caller_submit.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <tuple>
#include <utility>

#include "completion.h"
#include "control_blocks.h"
#include "planner.h"
#include "transport/nvmeof_generic_transport/common/signals.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// I/Os that the context of a thread is to hold: the first threads of a program get the larger ones,
// so that many of them do not use fs.aio-max-nr up.
constexpr uint32_t kEntries = 512;
constexpr uint32_t kFewEntries = 128;
constexpr uint16_t kChannelsWithMany = 32;

/// Gives a submission back when the call is over.
struct Lending {
    explicit Lending(Channel* of)
        : channel(of), submission(of != nullptr ? of->borrowSubmission() : nullptr) {}
    ~Lending() {
        if (submission != nullptr) channel->giveBackSubmission();
    }
    Lending(const Lending&) = delete;
    Lending& operator=(const Lending&) = delete;

    Channel* const channel;
    Submission* const submission;
};

}  // namespace

/// One call of submit().
class CallerSubmit::Call {
 public:
    /// @param submission  for what the calling thread submits itself; null: workers do it all
    /// @param offer  see Device::enqueue()
    Call(CallerSubmit& parent, Channel* mine, Submission* submission, bool offer)
        : parent_(parent),
          mine_(mine),
          submission_(submission),
          offer_(offer),
          end_(parent.channels_, parent.aio_, mine) {}

    void add(const IoItem* items, size_t count);
    void flush() {
        if (submission_ != nullptr) parent_.flush(*mine_, mine_->context(), *submission_);
    }

 private:
    using Order = std::array<uint16_t, kWindow>;

    static void sort(const IoItem* items, size_t count, Order& order);
    void addTo(Device& device, RequestQueue& requests, size_t count);
    Operation* planOne(Device& device, RequestQueue& requests, InFlight::Places place);
    void leave(Device& device, Operation* planned, RequestQueue& requests);

    CallerSubmit& parent_;
    Channel* const mine_;
    Submission* const submission_;
    const bool offer_;
    RequestEnd end_;
};

void CallerSubmit::Call::sort(const IoItem* items, size_t count, Order& order) {
    const auto key = [items](uint16_t i) {
        const IoItem& item = items[i];
        return std::tuple(item.device, item.request.op, item.request.offset);
    };
    bool sorted = true;
    for (size_t i = 0; i < count; ++i) {
        order[i] = static_cast<uint16_t>(i);
        sorted = sorted && (i == 0 || key(order[i - 1]) <= key(order[i]));
    }
    if (sorted) return;
    std::sort(order.begin(), order.begin() + count,
              [&key](uint16_t a, uint16_t b) { return key(a) < key(b); });
}

/// @param count  at most kWindow
void CallerSubmit::Call::add(const IoItem* items, size_t count) {
    Order order;
    sort(items, count, order);
    for (size_t at = 0; at < count;) {
        auto& device = static_cast<Device&>(*items[order[at]].device);
        RequestQueue requests;
        size_t queued = 0;
        for (; at < count && items[order[at]].device == &device; ++at) {
            const IoRequest& from = items[order[at]].request;
            int error = refusal(device.rules(), device.size(), from);
            Request* const request = error == 0 ? end_.allocate() : nullptr;
            if (request == nullptr) {
                device.listener().onIoDone(from.context, error == 0 ? ENOMEM : error, 0);
                continue;
            }
            request->start(from.op, from.buffer, from.offset, from.length, from.context, false);
            requests.push(request);
            ++queued;
        }
        if (queued == 0) continue;
        if (mine_ != nullptr) mine_->noteIssued(queued);
        addTo(device, requests, queued);
    }
}

void CallerSubmit::Call::addTo(Device& device, RequestQueue& requests, size_t count) {
    if (submission_ == nullptr || device.leavesToWorkers()) return leave(device, nullptr, requests);
    Batch& batch = submission_->batch;
    while (!requests.empty()) {
        if (batch.full()) flush();
        const size_t free = mine_->context().freeSlots();
        const size_t room = device.share(free > batch.count ? free - batch.count : 0);
        const size_t wanted = std::min({count, room, Batch::kMostOperations - batch.count});
        InFlight::Places places = device.reserve(static_cast<uint32_t>(wanted));
        if (places.count == 0) {
            // What is in the batch may be what fills the device.
            if (batch.count > 0) flush();
            return leave(device, nullptr, requests);
        }
        Operation* failed = nullptr;
        while (places.count > 0 && !requests.empty() && !batch.full()) {
            Operation* const operation = planOne(device, requests, places);
            if (operation == nullptr) break;
            if (!device.start(*operation)) {
                failed = operation;
                break;
            }
            batch.add(operation);
            --places.count;
        }
        const bool stuck =
            failed != nullptr || (places.count > 0 && !requests.empty() && !batch.full());
        device.giveBack(places);
        if (stuck) return leave(device, failed, requests);
    }
}

/// @return null without memory
Operation* CallerSubmit::Call::planOne(Device& device, RequestQueue& requests,
                                       InFlight::Places place) {
    Operation* const operation = mine_->memory().allocateOperation();
    if (operation == nullptr) return nullptr;
    operation->home = mine_;
    operation->device = &device;
    operation->generation = place.generation;
    planNext(device.rules(), requests, Joining::kAllowed, *operation);
    return operation;
}

void CallerSubmit::Call::leave(Device& device, Operation* planned, RequestQueue& requests) {
    switch (device.enqueue(planned, requests, offer_)) {
        case Enqueued::kDone:
            break;
        case Enqueued::kOffered:
            parent_.serve(device, *mine_);
            break;
        case Enqueued::kShut:
            cancel(device, planned, requests, end_);
            break;
    }
}

void CallerSubmit::submit(const IoItem* items, size_t count, Submitter who) noexcept {
    Channel* const mine = channels_.mine();
    const bool self = who == Submitter::kCaller && comesBack(mine) &&
                      mine->open(aio_, mine->number() < kChannelsWithMany ? kEntries : kFewEntries);
    const bool offer =
        who == Submitter::kCaller && !self && mine != nullptr && isSmall(items, count);
    const Lending lending(self ? mine : nullptr);
    if (lending.submission != nullptr &&
        mine->context().inFlight.load(std::memory_order_relaxed) == 0) {
        mine->noteSubmit(conditions_.tick.load(std::memory_order_relaxed));
    }
    Call call(*this, mine, lending.submission, offer);
    for (size_t at = 0; at < count; at += kWindow) {
        call.add(items + at, std::min(count - at, kWindow));
    }
    call.flush();
}

/// Whether it takes longer to wake a worker than to submit them.
bool CallerSubmit::isSmall(const IoItem* items, size_t count) const {
    if (count > kSmall) return false;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; ++i) bytes += items[i].request.length;
    return bytes <= smallBytes_;
}

void CallerSubmit::serve(Device& device, Channel& mine) {
    AioContext* context = nullptr;
    if (comesBack(&mine) && mine.isOpen()) {
        context = &mine.context();
    } else {
        // That of a worker that sleeps: it wakes when the I/O has ended.
        Dispatcher::Slot* const slot = dispatcher_.offer(device);
        if (slot == nullptr) return;
        context = &slot->channel.context();
    }
    const Lending lending(&mine);
    if (lending.submission == nullptr ||
        !device.takeAll(context->freeSlots(), mine, lending.submission->batch)) {
        return dispatcher_.push(device, Lane::kCommon);
    }
    flush(mine, *context, *lending.submission);
    // What the kernel has not taken is in the backlog already.
    device.endTurn({}, 0, Turn::kWell);
}

bool CallerSubmit::comesBack(const Channel* mine) const {
    return polls_.load(std::memory_order_relaxed) && mine != nullptr && !mine->isHandedOver();
}

/// Hands the batch to the kernel; what it does not take goes to the workers, who find out what is
/// wrong with it. The batch is empty then.
/// @param context  the calling thread's own, or a sleeping worker's
void CallerSubmit::flush(Channel& mine, AioContext& context, Submission& submission) {
    const bool owner = &context == &mine.context();
    Batch& batch = submission.batch;
    const size_t count = batch.count;
    if (count == 0) return;
    const size_t unsent = prepare(bounce_, Waiting::kForbidden, submission);
    const auto leave = [&](size_t from, size_t to) {
        for (size_t i = from; i < to;) {
            Device& device = *batch.operations[i]->device;
            OperationQueue started;
            for (; i < to && batch.operations[i]->device == &device; ++i) {
                batch.operations[i]->takeBack();
                started.push(batch.operations[i]);
            }
            device.enqueueStarted(std::move(started));
        }
    };
    leave(0, unsent);
    size_t at = unsent;
    {
        const NoBrokenPipe guard(
            mine.brokenPipeMatters(conditions_.tick.load(std::memory_order_relaxed)));
        while (at < count) {
            const auto left = static_cast<uint32_t>(count - at);
            // Sequentially consistent: see Dispatcher::noteCaller().
            context.inFlight.fetch_add(left, std::memory_order_seq_cst);
            const int result = aio_.submit(context.context, left, &submission.controls[at]);
            const auto taken = static_cast<uint32_t>(std::max(result, 0));
            context.noteSubmit(taken, owner);
            at += taken;
            if (taken == left) break;
            context.inFlight.fetch_sub(left - taken, std::memory_order_release);
            if (taken > 0) continue;
            if (result == 0 || result == -EAGAIN || result == -ENOMEM || result == -EINTR) {
                leave(at, count);
                break;
            }
            // The first one's own error; the others have not been looked at.
            if (result == -EOPNOTSUPP) batch.operations[at]->device->wouldHaveBlocked(EOPNOTSUPP);
            leave(at, at + 1);
            ++at;
        }
    }
    batch.clear();
    if (owner) dispatcher_.noteCaller();
}

}  // namespace mooncake::nvmeof_generic::io
