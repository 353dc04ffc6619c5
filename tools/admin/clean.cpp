// SPDX-License-Identifier: Apache-2.0
#include "clean.h"

#include <memory>
#include <ostream>

#include "planning_tree.h"
#include "transport/nvmeof_generic_transport/target/orphans.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

constexpr std::chrono::seconds kLimit{5};  // for a disk that hangs

}  // namespace

bool clean(const Roots& roots, bool dryRun, std::ostream& out, std::ostream& err,
           std::shared_ptr<ConfigTree> files) {
    NvmetTree tree{files ? std::move(files) : makePosixConfigTree(), roots.nvmet(), roots.proc};
    if (auto usable = checkUsable(tree, "tcp"); !usable.ok()) {
        err << usable.error().message << '\n';
        return false;
    }
    if (dryRun) tree.files = std::make_shared<PlanningTree>(tree.files, tree.root);
    const OrphanReport report = removeOrphans(tree, kLimit);
    for (const std::string& path : report.removed) {
        out << (dryRun ? "would remove " : "removed ") << path << '\n';
    }
    if (report.removed.empty() && report.failures.empty()) out << "nothing to remove\n";
    for (const Error& failure : report.failures) err << failure.message << '\n';
    return report.failures.empty();
}

}  // namespace mooncake::nvmeof_generic::admin
