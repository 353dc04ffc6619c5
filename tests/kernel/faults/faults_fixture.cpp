// SPDX-License-Identifier: Apache-2.0
#include "faults_fixture.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "kernel_state.h"

void FaultTest::SetUp() {
    controllers_ = nvmeControllers();
    objects_ = nvmetObjects();
    metadata = std::make_unique<MetadataServer>(0, "0.0.0.0");
}

void FaultTest::TearDown() {
    // Of a test that failed.
    for (auto& [number, host] : hosts()) {
        host->disturb("");
        host->lose({});
        for (int link = 0; link < host->links(); ++link) host->join(link);
    }
    endInitiator();
    targets_.clear();
    // Nothing is left of what was made, nor of what was killed.
    EXPECT_TRUE(eventually([&] { return nvmeControllers() == controllers_; }));
    EXPECT_EQ(nvmetObjects(), objects_);
    for (const std::string& file : files_) std::filesystem::remove(file);
}

std::map<int, std::unique_ptr<Host>>& FaultTest::hosts() {
    static std::map<int, std::unique_ptr<Host>> all;
    return all;
}

Host& FaultTest::host(int number) {
    auto& slot = hosts()[number];
    if (!slot) slot = std::make_unique<Host>(number, number > kOneLink ? 2 : 1);
    return *slot;
}

std::string FaultTest::makeTestFile(const std::string& name) {
    files_.push_back(testFolder() + "/" + name);
    test_support::makeFile(files_.back(), kFileBytes);
    return files_.back();
}

TargetNode& FaultTest::target(int hostNumber, const std::string& name, int files) {
    std::vector<std::string> paths;
    for (int i = 0; i < files; ++i) paths.push_back(makeTestFile(name + std::to_string(i)));
    targets_.push_back(
        std::make_unique<TargetNode>(host(hostNumber), metadata->port(), name, paths));
    return *targets_.back();
}

void FaultTest::drop(TargetNode& target) {
    std::erase_if(targets_, [&](const auto& known) { return known.get() == &target; });
}

Node& FaultTest::initiator() {
    if (!initiator_) initiator_ = std::make_unique<Node>(*metadata, "initiator");
    return *initiator_;
}

Load& FaultTest::load() {
    if (!load_) load_ = std::make_unique<Load>(initiator(), seed);
    return *load_;
}

void FaultTest::add(TargetNode& target, int retries) {
    for (size_t i = 0; i < target.ids().size(); ++i) {
        load().add(target.name(), target.files()[i], target.ids()[i], kFileBytes, retries);
    }
}

void FaultTest::endLoad() {
    if (!load_) return;
    EXPECT_TRUE(load_->stop()) << "a request did not end";
    const Load::Report report = load_->report();
    EXPECT_EQ(report.wrong, "");
    load_.reset();
}

void FaultTest::endInitiator() {
    endLoad();
    initiator_.reset();
}

Load::Report FaultTest::print(const std::string& event, const std::string& segment) {
    const Load::Report report = load().report(segment);
    printf("    %-44s %7lu completed %6lu failed, slowest %.1f s (completed %.1f s)\n",
           event.c_str(), report.completed, report.failed, report.slowest, report.slowestCompleted);
    fflush(stdout);
    EXPECT_EQ(report.wrong, "") << event;
    return report;
}
