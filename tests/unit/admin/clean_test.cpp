// SPDX-License-Identifier: Apache-2.0
#include "clean.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <sstream>

#include "admin_fixture.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CleanTest : public AdminTest {
 protected:
    // On the fake, which lets folders with attributes in them be removed.
    Outcome clean(bool dryRun) {
        std::ostringstream out, err;
        const bool good = admin::clean(roots_, dryRun, out, err, nvmet_);
        return {good ? 0 : 1, out.str(), err.str()};
    }

    // The lines, without what tells a dry run.
    static std::string paths(const Outcome& outcome, const std::string& verb) {
        std::istringstream lines(outcome.out);
        std::string paths;
        for (std::string line; std::getline(lines, line);) {
            EXPECT_THAT(line, testing::StartsWith(verb + " /"));
            paths += line.substr(verb.size()) + "\n";
        }
        return paths;
    }
};

// Case 16: only what the dead process left. Case 17: nothing foreign. Case 18: ports in use stay.
TEST_F(CleanTest, RemovesExactlyWhatTheDryRunSays) {
    makeForeignObjects();
    options_.allowedHosts = {"nqn.2014-08.org:both", kForeignHost};
    auto live = startTarget();
    const TreeSnapshot wanted = snapshot();
    options_.allowedHosts.push_back("nqn.2014-08.org:dead-only");
    auto dead = startTarget();
    dead->kill();
    const TreeSnapshot before = snapshot();

    const Outcome dry = clean(true);
    EXPECT_EQ(dry.status, 0);
    EXPECT_EQ(snapshot(), before);
    EXPECT_THAT(dry.out,
                AllOf(HasSubstr(dead->nqn()), HasSubstr("/hosts/nqn.2014-08.org:dead-only"),
                      Not(HasSubstr(live->nqn())), Not(HasSubstr("/ports/"))));

    const Outcome wet = clean(false);
    EXPECT_EQ(wet.status, 0);
    EXPECT_EQ(paths(wet, "removed"), paths(dry, "would remove"));
    EXPECT_EQ(snapshot(), wanted);

    for (const bool dryRun : {true, false}) EXPECT_EQ(clean(dryRun).out, "nothing to remove\n");
}

TEST_F(CleanTest, APortGoesWithItsLastUser) {
    const TreeSnapshot wanted = snapshot();
    auto a = startTarget(), b = startTarget();
    a->kill();
    EXPECT_THAT(clean(true).out, Not(HasSubstr("/ports/")));
    b->kill();
    const Outcome dry = clean(true);
    EXPECT_THAT(dry.out,
                AllOf(HasSubstr("/ports/40000"), HasSubstr(a->nqn()), HasSubstr(b->nqn())));
    EXPECT_EQ(paths(clean(false), "removed"), paths(dry, "would remove"));
    EXPECT_EQ(snapshot(), wanted);
}

// Case 17: what strangers hung on objects of ours stays; both runs say so.
TEST_F(CleanTest, SaysWhatStrangersKeep) {
    makeForeignObjects();
    options_.allowedHosts = {"nqn.2014-08.org:shared"};
    auto dead = startTarget();
    dead->kill();
    const std::string root = roots_.nvmet(), foreign = root + "/subsystems/" + kForeignNqn;
    ASSERT_EQ(nvmet_->link(root + "/subsystems/" + dead->nqn(), root + "/ports/1/subsystems/x"), 0);
    ASSERT_EQ(nvmet_->link(foreign, root + "/ports/40000/subsystems/y"), 0);
    ASSERT_EQ(nvmet_->link(root + "/hosts/nqn.2014-08.org:shared",
                           foreign + "/allowed_hosts/nqn.2014-08.org:shared"),
              0);
    const TreeSnapshot before = snapshot();
    const Outcome dry = clean(true);
    EXPECT_EQ(snapshot(), before);
    EXPECT_EQ(dry.status, 1);
    EXPECT_THAT(dry.out, IsEmpty());
    EXPECT_THAT(dry.err, AllOf(HasSubstr(dead->nqn()), HasSubstr("/ports/40000 is left alone"),
                               HasSubstr("/hosts/nqn.2014-08.org:shared is left alone")));
    const Outcome wet = clean(false);
    EXPECT_EQ(wet.status, 1);
    EXPECT_EQ(wet.out, dry.out);
    EXPECT_EQ(wet.err, dry.err);
}

TEST_F(CleanTest, WithoutNvmet) {
    std::filesystem::remove_all(roots_.nvmet());
    const Outcome outcome = run({"clean"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr("mount -t configfs"));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::admin
