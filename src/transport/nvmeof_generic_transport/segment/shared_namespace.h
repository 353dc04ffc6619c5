// SPDX-License-Identifier: Apache-2.0
// A remote namespace as this process has it open, whatever segments and files it is known by.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "transport/nvmeof_generic_transport/common/read_section.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

enum class NamespaceState : uint8_t {
    kClosed,
    kOpening,  ///< some thread is at it
    kOpen,
    kSuspect,  ///< open; an error may mean that it is gone, and new requests wait until that is
               ///< seen
    kClosing,  ///< the kernel may still have I/O of it
};

class SharedNamespace;

/// Told what becomes of the requests that were submitted to a namespace. Rules as IoListener.
class NamespaceClient {
 public:
    virtual ~NamespaceClient() = default;
    virtual void onIoDone(SharedNamespace& from, void* context, int error,
                          uint64_t bytes) noexcept = 0;
    virtual void onIoReturned(const IoRequest& request) noexcept = 0;
};

/// One for each (NQN, nsid) of a transport. It is never opened a second time before all I/O of the
/// first opening has ended: a write of before could otherwise land after one that came later. No
/// error closes it by itself: the errno of a namespace that is gone is also that of a bad sector or
/// a full disk, so the open descriptor is looked at. Thread-safe.
class SharedNamespace : public std::enable_shared_from_this<SharedNamespace> {
 public:
    struct Key {
        std::string nqn;
        uint32_t nsid = 0;
        auto operator<=>(const Key&) const = default;
    };

    /// What requests are submitted to.
    struct Opening : Retirable {
        Opening(std::shared_ptr<IoDevice> d, uint32_t b, bool r)
            : device(std::move(d)), blockSize(b), readOnly(r) {}
        const std::shared_ptr<IoDevice> device;
        const uint32_t blockSize;
        const bool readOnly;
    };

    /// @param pool, retired  outlive this object
    SharedNamespace(Key key, IoPool& pool, Retired& retired)
        : key_(std::move(key)), pool_(pool), retired_(retired) {}
    SharedNamespace(const SharedNamespace&) = delete;
    SharedNamespace& operator=(const SharedNamespace&) = delete;

    const Key& key() const { return key_; }

    /// Within a ReadSection. @return null: requests wait
    const Opening* opening() const noexcept { return visible_.load(std::memory_order_seq_cst); }

    NamespaceState state() const;

    /// Counts who uses it; with the last one it is closed.
    void attach();
    void detach();

    /// Asks for the right to open it, which ends with open() or notOpened().
    /// @return false: it is open, or another thread is at it, or I/O of the last opening has not
    ///     ended
    bool beginOpening();
    struct OpenedAs {
        std::string name;         ///< for log lines and errors
        bool copyWrites = false;  ///< IoDeviceSpec::copyWrites, where the device is remote
    };
    /// @param connection  through which; kept until it is closed
    /// @return what the pool says where it does not take the device in; it is closed then
    Result<> open(std::shared_ptr<Connection> connection, RemoteNamespace device,
                  const OpenedAs& as, NamespaceClient& client);
    void notOpened();

    /// After an error that one that is gone gives: requests wait from now on.
    /// @return whether lookAgain() is to be called
    bool suspect() noexcept;
    /// Looks whether it is still there, and lets requests go on or closes it. Takes a few system
    /// calls, none of which waits.
    void lookAgain(Initiator& initiator);

    /// Gives back what the kernel does not have. Does not wait. Not under a lock that
    /// NamespaceClient takes.
    void close();
    /// The same for good: its target takes it back, and never gives this nsid to another.
    void withdraw();
    /// The same if it was opened through this connection, or through any other.
    void closeIfOf(const Connection& connection);
    void closeUnlessOf(const Connection& connection);

    /// Whether it was opened through this connection, and has not been let go of.
    bool isOf(const Connection& connection) const;

    /// Lets go of what was closed, and of its connection, which may block for seconds.
    /// @return false: I/O of it has not ended
    bool finishClosing();

    /// Of the opening, or of the last one while the kernel may have I/O of it.
    IoDevice::Activity activity() const;
    IoDevice::Sample sample(std::chrono::steady_clock::time_point now);
    /// Null when it is not open.
    std::shared_ptr<const UniqueFd> descriptor() const;

 private:
    void moveTo(NamespaceState next) MC_REQUIRES(mutex_);
    std::shared_ptr<IoDevice> beginClosing() MC_REQUIRES(mutex_);
    std::shared_ptr<IoDevice> device() const;

    const Key key_;
    IoPool& pool_;
    Retired& retired_;

    std::atomic<const Opening*> visible_{nullptr};  // current_, or null

    mutable Mutex mutex_;
    NamespaceState state_ MC_GUARDED_BY(mutex_) = NamespaceState::kClosed;
    uint32_t users_ MC_GUARDED_BY(mutex_) = 0;
    bool withdrawn_ MC_GUARDED_BY(mutex_) = false;
    std::unique_ptr<Opening> current_ MC_GUARDED_BY(mutex_);
    // From open() to finishClosing().
    std::shared_ptr<IoDevice> device_ MC_GUARDED_BY(mutex_);
    std::shared_ptr<Connection> connection_ MC_GUARDED_BY(mutex_);
    uint64_t size_ MC_GUARDED_BY(mutex_) = 0;
};

}  // namespace mooncake::nvmeof_generic
