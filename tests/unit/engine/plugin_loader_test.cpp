// SPDX-License-Identifier: Apache-2.0
// Case 49: a plugin that is missing, none, of another ABI, or of another engine build.
#include "plugin_loader.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "transport/transport_plugin.h"

namespace mooncake::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const std::string kFolder = FIXTURE_PLUGIN_FOLDER;

std::string fileOf(const std::string& proto) {
    return kFolder + "/libmooncake_transport_" + proto + ".so";
}

bool isLoaded(const std::string& file) {
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (handle != nullptr) dlclose(handle);
    return handle != nullptr;
}

class PluginLoaderTest : public ::testing::Test {
 protected:
    PluginLoaderTest() {
        std::string pattern = fs::temp_directory_path() / "plugin_loader_test.XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    ~PluginLoaderTest() override { fs::remove_all(folder_); }

    // The message with which a plugin from the folder of fixtures is refused.
    std::string refusal(const std::string& proto) {
        std::shared_ptr<Transport> transport;
        const Status status = loadTransport(proto, {"", {kFolder}}, &transport);
        EXPECT_EQ(status.code(), Status::Code::kNotSupportedTransport) << status;
        EXPECT_EQ(transport, nullptr);
        EXPECT_FALSE(isLoaded(fileOf(proto))) << "it stayed loaded";
        return std::string(status.message());
    }

    fs::path folder_;
};

TEST_F(PluginLoaderTest, MakesAnInstanceAndUnloadsWithTheLast) {
    std::shared_ptr<Transport> first;
    std::shared_ptr<Transport> second;
    const PluginPlaces places{"", {kFolder}};
    ASSERT_TRUE(loadTransport("fixture_good", places, &first).ok());
    ASSERT_TRUE(loadTransport("fixture_good", places, &second).ok());
    EXPECT_NE(first, second);
    first.reset();
    EXPECT_TRUE(isLoaded(fileOf("fixture_good"))) << "unloaded under an instance";
    second.reset();
    EXPECT_FALSE(isLoaded(fileOf("fixture_good")));
    ASSERT_TRUE(loadTransport("fixture_good", places, &first).ok());
}

TEST_F(PluginLoaderTest, AcceptsANewerMinor) {
    std::shared_ptr<Transport> transport;
    EXPECT_TRUE(loadTransport("fixture_newer_minor", {"", {kFolder}}, &transport).ok());
}

TEST_F(PluginLoaderTest, RefusesWithTheFileAndBothValues) {
    EXPECT_THAT(refusal("fixture_no_symbol"),
                AllOf(HasSubstr(fileOf("fixture_no_symbol")), HasSubstr(kTransportPluginSymbol)));
    EXPECT_THAT(refusal("fixture_no_description"), HasSubstr(fileOf("fixture_no_description")));
    EXPECT_THAT(refusal("fixture_wrong_magic"),
                AllOf(HasSubstr(fileOf("fixture_wrong_magic")), HasSubstr("0x1234"),
                      HasSubstr("0x4d4f4f4e58505254")));
    EXPECT_THAT(refusal("fixture_wrong_major"),
                AllOf(HasSubstr(fileOf("fixture_wrong_major")), HasSubstr("version 7.0"),
                      HasSubstr("has 1.0")));
    EXPECT_THAT(refusal("fixture_wrong_fingerprint"),
                AllOf(HasSubstr(fileOf("fixture_wrong_fingerprint")), HasSubstr("another engine"),
                      HasSubstr(transportEngineFingerprint())));
    EXPECT_THAT(refusal("fixture_no_fingerprint"), HasSubstr("(none)"));
    EXPECT_THAT(refusal("fixture_no_create"), HasSubstr("lacks"));
    EXPECT_THAT(refusal("fixture_no_destroy"), HasSubstr("lacks"));
    EXPECT_THAT(refusal("fixture_no_name"), HasSubstr("lacks"));
    EXPECT_THAT(refusal("fixture_no_version"), HasSubstr("lacks"));
    EXPECT_THAT(refusal("fixture_wrong_name"),
                AllOf(HasSubstr("something_else"), HasSubstr("fixture_wrong_name")));
    EXPECT_THAT(refusal("fixture_create_fails"), HasSubstr("made no instance"));
    // It does not come to the comparison.
    EXPECT_THAT(refusal("fixture_foreign_symbol"),
                AllOf(HasSubstr("undefined symbol"), HasSubstr("built for another engine")));
}

// Each of these plugins is wrong in two ways: the message must name the one that is checked first.
TEST_F(PluginLoaderTest, ChecksInOrder) {
    EXPECT_THAT(refusal("fixture_magic_before_major"), HasSubstr("magic"));
    EXPECT_THAT(refusal("fixture_major_before_fingerprint"), HasSubstr("ABI version"));
    EXPECT_THAT(refusal("fixture_fingerprint_before_pointers"), HasSubstr("another engine"));
    EXPECT_THAT(refusal("fixture_pointers_before_name"), HasSubstr("lacks"));
}

TEST_F(PluginLoaderTest, RefusesAFileThatIsNoLibrary) {
    const fs::path file = folder_ / "libmooncake_transport_text.so";
    std::ofstream(file) << "this is not a library\n";
    std::shared_ptr<Transport> transport;
    const Status status = loadTransport("text", {"", {folder_.string()}}, &transport);
    EXPECT_TRUE(status.IsNotSupportedTransport());
    EXPECT_THAT(status.ToString(), HasSubstr(file.string()));
}

TEST_F(PluginLoaderTest, NamesThePlacesWhereNothingWasFound) {
    std::shared_ptr<Transport> transport;
    const Status status =
        loadTransport("absent", {folder_.string(), {"/nowhere/a", "/nowhere/b"}}, &transport);
    EXPECT_TRUE(status.IsDeviceNotFound());
    EXPECT_THAT(status.ToString(),
                AllOf(HasSubstr("libmooncake_transport_absent.so"), HasSubstr(folder_.string()),
                      HasSubstr("/nowhere/a"), HasSubstr("/nowhere/b"),
                      HasSubstr("MC_TRANSPORT_PLUGIN_PATH")));
}

// Case 25: nothing but a plain name becomes part of a path.
TEST_F(PluginLoaderTest, RefusesAProtocolThatIsNoPlainName) {
    fs::create_directory(folder_ / "libmooncake_transport_x");
    for (const std::string& proto :
         {std::string(), std::string("../x"), std::string("a/b"), std::string("x/../y"),
          std::string("a b"), std::string("a,b"), std::string("a\nb"), std::string("a\0b", 3),
          std::string("a.b"), std::string(65, 'a')}) {
        std::shared_ptr<Transport> transport;
        EXPECT_TRUE(loadTransport(proto, {"", {kFolder}}, &transport).IsInvalidArgument()) << proto;
    }
}

TEST_F(PluginLoaderTest, LooksIntoThePreferredPlaceFirst) {
    std::shared_ptr<Transport> transport;
    // A file.
    EXPECT_TRUE(loadTransport("fixture_good", {fileOf("fixture_good"), {}}, &transport).ok());
    // A file of another transport: refused, not passed over.
    EXPECT_TRUE(
        loadTransport("fixture_good", {fileOf("fixture_newer_minor"), {kFolder}}, &transport)
            .IsNotSupportedTransport());
    // A folder, relative to the current one.
    const fs::path before = fs::current_path();
    fs::current_path(fs::path(kFolder).parent_path());
    const std::string relative = fs::path(kFolder).filename().string();
    EXPECT_TRUE(loadTransport("fixture_good", {relative, {}}, &transport).ok());
    fs::current_path(before);
    // A folder without it: the others follow.
    EXPECT_TRUE(loadTransport("fixture_good", {folder_.string(), {kFolder}}, &transport).ok());
    // A bad plugin in it is not passed over for a good one behind it.
    fs::copy_file(fileOf("fixture_wrong_magic"), folder_ / "libmooncake_transport_fixture_good.so");
    EXPECT_TRUE(loadTransport("fixture_good", {folder_.string(), {kFolder}}, &transport)
                    .IsNotSupportedTransport());
    // Case 50: a place that does not exist is an error, not ignored.
    const Status status = loadTransport("fixture_good", {"/nowhere", {kFolder}}, &transport);
    EXPECT_TRUE(status.IsDeviceNotFound());
    EXPECT_THAT(status.ToString(),
                AllOf(HasSubstr("MC_TRANSPORT_PLUGIN_PATH"), HasSubstr("'/nowhere'")));
}

TEST_F(PluginLoaderTest, DefaultPlacesAreTheEnginesFolderAndTheInstallation) {
    unsetenv("MC_TRANSPORT_PLUGIN_PATH");
    PluginPlaces places = defaultPluginPlaces();
    EXPECT_EQ(places.preferred, "");
    ASSERT_GE(places.folders.size(), 2u);
    EXPECT_EQ(fs::path(places.folders.front()), fs::canonical(ENGINE_LIBRARY_FOLDER));
    EXPECT_THAT(places.folders.back(), HasSubstr("mooncake/plugins"));
    setenv("MC_TRANSPORT_PLUGIN_PATH", "/a/b", 1);
    EXPECT_EQ(defaultPluginPlaces().preferred, "/a/b");
    unsetenv("MC_TRANSPORT_PLUGIN_PATH");
}

TEST_F(PluginLoaderTest, TheFingerprintNamesWhatItIsMadeOf) {
    EXPECT_THAT(std::string(transportEngineFingerprint()),
                AllOf(HasSubstr("transport=" + std::to_string(sizeof(Transport)) + "/"),
                      HasSubstr(" slice="), HasSubstr(" segment="), HasSubstr(" cxx11_abi="),
                      HasSubstr(" nvmeof_generic=")));
}

}  // namespace
}  // namespace mooncake::test
