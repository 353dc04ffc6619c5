// SPDX-License-Identifier: Apache-2.0
// Memory of callers, of which nothing is certain: it may not be mapped any more, be protected, or
// be of a file that was truncated.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic::io {

/// Asks the kernel right before memory is copied from or to, which would end the process otherwise:
/// by system calls that touch a byte of each page, and say EFAULT. That the kernel copied all of it
/// (process_vm_readv(2)) would also help against memory that goes in the very moment of the copy;
/// it takes about twice as long as this for what is copied from callers.
/// Thread-safe; a page that has to be brought in is waited for without any lock.
class CallerMemory {
 public:
    /// valid() says whether /dev/zero could be opened.
    CallerMemory();
    bool valid() const { return zeros_.valid(); }

    /// Collects stretches of memory, one after the other, and asks for them.
    class Check {
     public:
        explicit Check(const CallerMemory& memory) : memory_(memory) {}
        /// @return false: some of it, or of what was added before, cannot be read
        bool canRead(const char* memory, size_t length);
        /// The same for writing, with the last word in endWriting(). It changes some of the bytes,
        /// which are to be written to next.
        bool canWrite(char* memory, size_t length);
        bool endWriting();

     private:
        static constexpr size_t kPages = 64;

        template <class Touch>
        bool forPages(uintptr_t begin, size_t length, const Touch& touch);

        const CallerMemory& memory_;
        uintptr_t last_ = 1;  // the page that was looked at last; none begins there
        size_t count_ = 0;
        std::array<iovec, kPages> bytes_;
    };

 private:
    const UniqueFd zeros_;
};

}  // namespace mooncake::nvmeof_generic::io
