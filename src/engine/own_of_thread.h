// SPDX-License-Identifier: Apache-2.0
// An object of each thread that may be asked for at any time, also by the destructors that run when
// the thread, or the program, ends. A plain thread_local with a destructor may not: whoever comes
// after that destructor uses what was destroyed.
#pragma once

namespace mooncake {

// `Tag` tells objects of the same type apart. It should be a type of an anonymous namespace: then
// nothing of this is shared between libraries, which could not be unloaded otherwise.
template <class T, class Tag>
class OwnOfThread {
 public:
    // The calling thread's object. The first call makes it, and throws what T's constructor throws.
    // Null once the thread has destroyed it.
    static T* get() {
        if (own_.object != nullptr || own_.gone) return own_.object;
        thread_local Holder holder;
        return &holder.object;
    }

 private:
    // Without constructor and destructor: there from the thread's first to its last instruction.
    struct Plain {
        T* object = nullptr;
        bool gone = false;
    };
    struct Holder {
        Holder() { own_.object = &object; }
        ~Holder() { own_ = {nullptr, true}; }
        T object{};
    };
    static inline constinit thread_local Plain own_{};
};

}  // namespace mooncake
