// SPDX-License-Identifier: Apache-2.0
// A thread that is held up in io_submit, because a page of its buffer is not there yet (swapped
// out, on its way from another host), holds up nobody else.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <thread>

#include "local_nodes.h"

namespace mooncake::test {
namespace {

/// A page that is not there until somebody brings it.
class ColdPage {
 public:
    ColdPage() : faults_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC))) {
        if (faults_ < 0) return;
        uffdio_api api{UFFD_API, 0, 0};
        page_ = static_cast<char*>(
            mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        uffdio_register range{{address(), kBlock}, UFFDIO_REGISTER_MODE_MISSING, 0};
        ready_ =
            ioctl(faults_, UFFDIO_API, &api) == 0 && ioctl(faults_, UFFDIO_REGISTER, &range) == 0;
    }
    ~ColdPage() {
        if (ready_) bring();
        if (faults_ >= 0) close(faults_);
        if (page_ != nullptr) munmap(page_, kBlock);
    }
    ColdPage(const ColdPage&) = delete;
    ColdPage& operator=(const ColdPage&) = delete;

    bool ready() const { return ready_; }
    char* data() const { return page_; }
    /// Waits until somebody needs the page.
    void awaitFault() const {
        uffd_msg message;
        ASSERT_EQ(read(faults_, &message, sizeof(message)), ssize_t{sizeof(message)});
    }
    void bring() const {
        uffdio_zeropage zero{{address(), kBlock}, 0, 0};
        ioctl(faults_, UFFDIO_ZEROPAGE, &zero);
    }

 private:
    uint64_t address() const { return reinterpret_cast<uintptr_t>(page_); }
    const int faults_;
    char* page_ = nullptr;
    bool ready_ = false;
};

class HeldUpSubmissionTest : public ::testing::Test {
 protected:
    static constexpr size_t kSize = 1 << 20;

    void SetUp() override {
        if (!page_.ready()) {
            GTEST_SKIP() << "this user may not use userfaultfd: " << std::strerror(errno);
        }
        target_.becomeTarget();
        file_ = target_.add(folder_.make("file", kSize, 'x'), kSize);
        other_ = target_.add(folder_.make("other", kSize, 'y'), kSize);
        segment_ = node_.open(target_.name());
    }

    TransferStatusEnum read(FileBufferID file, char* into, uint64_t offset) {
        return node_.run({TransferRequest::READ, into, segment_, offset, kBlock, 0, file}).s;
    }

    /// Expects a read of `file` to end while another thread's read of `held` waits for its page.
    void othersGoOn(FileBufferID held, FileBufferID file) {
        auto heldUp = std::async(std::launch::async, [&] { return read(held, page_.data(), 0); });
        page_.awaitFault();
        auto going =
            std::async(std::launch::async, [&] { return read(file, memory_.data, kBlock); });
        EXPECT_EQ(going.wait_for(kForever / 4), std::future_status::ready)
            << "waits for the thread that is held up";
        page_.bring();
        EXPECT_EQ(heldUp.get(), TransferStatusEnum::COMPLETED);
        EXPECT_EQ(going.get(), TransferStatusEnum::COMPLETED);
        EXPECT_EQ(memory_.data[0], file == file_ ? 'x' : 'y');
        EXPECT_EQ(page_.data()[0], held == file_ ? 'x' : 'y');
    }

    FileFolder folder_;
    ColdPage page_;
    Memory memory_{kBlock};
    Node target_, node_;
    FileBufferID file_ = 0, other_ = 0;
    SegmentHandle segment_ = 0;
};

TEST_F(HeldUpSubmissionTest, OfTheSameFile) {
    read(file_, memory_.data, 0);
    othersGoOn(file_, file_);
}

TEST_F(HeldUpSubmissionTest, OfAnotherFile) {
    read(file_, memory_.data, 0);
    read(other_, memory_.data, 0);
    othersGoOn(file_, other_);
}

// Nothing of the segment is connected or open yet.
TEST_F(HeldUpSubmissionTest, AtTheFirstUse) {
    othersGoOn(file_, other_);
}

}  // namespace
}  // namespace mooncake::test
