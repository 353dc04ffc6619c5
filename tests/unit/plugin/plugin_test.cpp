// SPDX-License-Identifier: Apache-2.0
// The plugin as the file that it is: what it exports, what it says of itself, that it comes and
// goes.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "child_process.h"
#include "transport/transport_plugin.h"

namespace mooncake {
namespace {

TEST(Plugin, ExportsOneSymbol) {
    test_support::ChildProcess nm(
        {"nm", "--dynamic", "--defined-only", "--format=posix", PLUGIN_FILE});
    ASSERT_EQ(nm.wait(), 0) << nm.output();
    std::istringstream lines(nm.output());
    std::string line, exported;
    while (std::getline(lines, line)) exported += line.substr(0, line.find(' ')) + "\n";
    EXPECT_EQ(exported, "mooncake_transport_plugin\n");
}

TEST(Plugin, DescribesItself) {
    void* library = dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    auto* function =
        reinterpret_cast<TransportPluginFunction>(dlsym(library, kTransportPluginSymbol));
    ASSERT_NE(function, nullptr);
    const TransportPlugin* plugin = function();
    EXPECT_EQ(plugin->magic, kTransportPluginMagic);
    EXPECT_EQ(plugin->abi_major, kTransportPluginAbiMajor);
    EXPECT_STREQ(plugin->plugin_name, "nvmeof_generic");
    EXPECT_STREQ(plugin->engine_fingerprint, transportEngineFingerprint());
    Transport* transport = plugin->create();
    ASSERT_NE(transport, nullptr);
    plugin->destroy(transport);
    dlclose(library);
}

TEST(Plugin, LeavesWhenItIsClosed) {
    for (int i = 0; i < 1000; ++i) {
        void* library = dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(library, nullptr) << dlerror();
        auto* function =
            reinterpret_cast<TransportPluginFunction>(dlsym(library, kTransportPluginSymbol));
        function()->destroy(function()->create());
        ASSERT_EQ(dlclose(library), 0);
        ASSERT_EQ(dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_NOLOAD), nullptr) << "round " << i;
    }
}

// Its handlers of forks (pthread_atfork) lie in code that is not there any more.
TEST(Plugin, TakesItsForkHandlersAlong) {
    void* library = dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    ASSERT_EQ(dlclose(library), 0);
    ASSERT_EQ(dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_NOLOAD), nullptr);
    const pid_t child = fork();
    if (child == 0) _exit(7);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace mooncake
