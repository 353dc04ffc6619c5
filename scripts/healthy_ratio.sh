#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# healthy_ratio.sh [6.1|6.12] [build folder]
#
# Prints the throughput of healthy targets beside a silent, a refusing and an unreachable one, as a ratio of their
# throughput alone, measured in turns in one run in a guest. Takes about three minutes; the machine should have nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/vm/faults.sh
source scripts/vm/faults.sh
run_fault_program "${2:-build/release}" "${1:-6.1}" 600 'Ratio.*' | grep -E '^healthy|FAILED|Failure'
