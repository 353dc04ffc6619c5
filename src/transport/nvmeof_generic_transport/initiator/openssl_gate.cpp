// SPDX-License-Identifier: Apache-2.0
#include "openssl_gate.h"

#include <openssl/crypto.h>
#include <pthread.h>

#include <cstdlib>

namespace mooncake::nvmeof_generic {
namespace {

// Held for reading by who uses OpenSSL. Who waits for writing goes before those who come later:
// else threads that come again and again could keep exit() waiting for ever.
pthread_rwlock_t inside = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
bool closed = false;  // guarded by inside

bool prepare() {
    // Handlers of exit() are called from the last to the first.
    OPENSSL_init_crypto(0, nullptr);
    std::atexit([] {
        pthread_rwlock_wrlock(&inside);
        closed = true;
        pthread_rwlock_unlock(&inside);
    });
    pthread_atfork([] { pthread_rwlock_wrlock(&inside); }, [] { pthread_rwlock_unlock(&inside); },
                   [] { inside = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP; });
    return true;
}

}  // namespace

OpensslGate::OpensslGate() {
    [[maybe_unused]] static const bool prepared = prepare();
    pthread_rwlock_rdlock(&inside);
    open_ = !closed;
}

OpensslGate::~OpensslGate() {
    pthread_rwlock_unlock(&inside);
}

}  // namespace mooncake::nvmeof_generic
