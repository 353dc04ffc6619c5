#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
healthy_ratio.sh [6.1|6.12] [build folder]

Prints the throughput of healthy targets beside a silent, a refusing and an unreachable one, as a ratio of their
throughput alone: medians of turns that alternate in one run in a guest. Takes about four minutes; the machine should have
nothing else to do. Build first (cmake --build --preset release).

Exit status: 0 where the ratio is 0.9 or more, else 1.
U
}
[[ ${1:-} != -h ]] || { usage && exit; }
cd "$(dirname "$0")/.."
# shellcheck source=scripts/vm/faults.sh
source scripts/vm/faults.sh
run_fault_program "${2:-build/release}" "${1:-6.1}" 600 'Ratio.*' | grep -E '^ +(alone|beside)|^healthy|FAILED|Failure' |
    awk '{print; fflush()} /^healthy/ {for (i = 1; i < NF; i++) if ($i == "ratio") ratio = $(i + 1) + 0} END {exit ratio < 0.9}'
