#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
paths_ratio.sh [6.1|6.12] [build folder]

Prints what two links to a target carry together, as a ratio of what one of them does (of two that differ, the faster
one), in a guest in which the links are so slow that they are the limit. Takes about ten minutes; the machine should have
nothing else to do. Build first (cmake --build --preset release).
U
}
[[ ${1:-} != -h ]] || { usage && exit; }
cd "$(dirname "$0")/.."
# shellcheck source=scripts/vm/faults.sh
source scripts/vm/faults.sh
run_fault_program "${2:-build/release}" "${1:-6.12}" 1200 'PathsRatio.*' | grep -E '^links|FAILED|Failure'
