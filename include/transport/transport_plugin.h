// SPDX-License-Identifier: Apache-2.0
// How a shared library presents a Transport to the engine.
//
// libmooncake_transport_<protocol>.so exports one symbol, mooncake_transport_plugin: a function
// that takes nothing, has no side effect and returns a static description. Nothing of a plugin runs
// before `create` is called; it defines no gflags, starts no logging, and exports nothing else.
//
// The library is unloaded after `destroy` of its last instance. Nothing may need its code by then:
// no thread, no callback and no std::shared_ptr that was made in it.
//
// This header needs transport/transport.h and no other, so a plugin may be built against any engine
// that has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "transport/transport.h"

namespace mooncake {

struct TransportPlugin {
    // Members of one ABI major keep their places; a minor may only add some at the end.
    uint64_t magic;      // kTransportPluginMagic
    uint32_t abi_major;  // kTransportPluginAbiMajor: another one is refused
    uint32_t abi_minor;
    const char* plugin_name;         // the protocol
    const char* plugin_version;      // for messages
    const char* engine_fingerprint;  // transportEngineFingerprint() as the plugin was built
    // A new instance, not yet installed; null on failure (which it logs). Throws nothing.
    // Thread-safe.
    Transport* (*create)();
    // Ends what `create` gave. Throws nothing.
    void (*destroy)(Transport* transport);
};

using TransportPluginFunction = const TransportPlugin* (*)();

inline constexpr uint64_t kTransportPluginMagic = 0x4d4f4f4e58505254;  // "MOONXPRT"
// Raised when Transport's virtual functions, or the meaning of anything here, change.
inline constexpr uint32_t kTransportPluginAbiMajor = 1;
inline constexpr uint32_t kTransportPluginAbiMinor = 0;
inline constexpr char kTransportPluginSymbol[] = "mooncake_transport_plugin";

namespace transport_plugin_detail {

// A string that is finished when the program is compiled.
struct FingerprintText {
    char text[512] = {};
    size_t size = 0;

    constexpr FingerprintText& add(const char* part) {
        while (*part != '\0') text[size++] = *part++;
        return *this;
    }
    constexpr FingerprintText& add(const char* name, uint64_t value) {
        add(size == 0 ? "" : " ").add(name).add("=");
        char digits[20] = {};
        size_t count = 0;
        do {
            digits[count++] = static_cast<char>('0' + value % 10);
            value /= 10;
        } while (value != 0);
        while (count > 0) text[size++] = digits[--count];
        return *this;
    }
    template <typename T>
    constexpr FingerprintText& addType(const char* name) {
        return add(name, sizeof(T)).add("/").addNumber(alignof(T));
    }
    constexpr FingerprintText& addNumber(uint64_t value) {
        if (value >= 10) addNumber(value / 10);
        text[size++] = static_cast<char>('0' + value % 10);
        return *this;
    }
};

#ifdef __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
#endif
constexpr FingerprintText makeFingerprint() {
    using Request = Transport::TransferRequest;
    using Slice = Transport::Slice;
    using Task = Transport::TransferTask;
    using Batch = Transport::BatchDesc;
    using Segment = TransferMetadata::SegmentDesc;
    FingerprintText f;
    f.addType<Transport>("transport").addType<Request>("request").addType<Slice>("slice");
    f.addType<Task>("task").addType<Batch>("batch").addType<Segment>("segment");
    f.addType<TransferMetadata::FileBufferDesc>("file");
    f.addType<TransferMetadata>("metadata").addType<Status>("status");
    f.add("request.file_id", offsetof(Request, file_id));
    f.add("slice.task", offsetof(Slice, task)).add("slice.status", offsetof(Slice, status));
    f.add("slice.file_id", offsetof(Slice, file_id));
    f.add("task.success", offsetof(Task, success_slice_count));
    f.add("task.request", offsetof(Task, request)).add("task.slices", offsetof(Task, slice_list));
    f.add("batch.tasks", offsetof(Batch, task_list));
    f.add("segment.files", offsetof(Segment, file_buffers));
#ifdef USE_NVMEOF_GENERIC
    f.add("segment.trid", offsetof(Segment, nvmeof_generic_trid));
    f.add("nvmeof_generic", 1);
#else
    f.add("nvmeof_generic", 0);
#endif
#ifdef _GLIBCXX_USE_CXX11_ABI
    f.add("cxx11_abi", _GLIBCXX_USE_CXX11_ABI);
#endif
    f.addType<std::string>("string");
    return f;
}
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif

// Internal linkage on purpose: every library must keep its own, whatever the dynamic linker merges.
static constexpr FingerprintText kFingerprint = makeFingerprint();

}  // namespace transport_plugin_detail

// Sizes, places and build options of the types that cross the boundary, as this translation unit
// sees them. Static.
static inline const char* transportEngineFingerprint() {
    return transport_plugin_detail::kFingerprint.text;
}

}  // namespace mooncake
