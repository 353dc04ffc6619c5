#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
soak.sh [-k 6.1|6.12] [-t seconds] [-p seconds] [-s seed] [-b folder]
soak.sh [-k 6.1|6.12] -r rounds [-b folder]
soak.sh [-k 6.1|6.12] -l cuts [-b folder]

Verified reads and writes on 8 segments over 3 hosts, while one fault after the other hits them: a target killed and
started again, a short and a long loss of the link, delay with loss and reordering, a controller deleted, a namespace removed, a
file added. After each, everything must heal by itself. Nothing may be lost, wrong, or left in the kernel.
Runs in a guest with a stock Debian kernel; build first (cmake --build --preset release).

  -k    kernel (6.1)
  -t    how long (600)
  -p    pause between two faults (10)
  -s    which faults, in which order: the same seed gives the same (a random one, which is printed)
  -r    instead: so many connects and disconnects, half of them refused, and so many short losses of the link under load, after
        which no memory, thread, descriptor or controller may be left (1000 take about 15 minutes)
  -l    instead: so many times one of a target's two links is cut and restored, in turn, never both; no request may fail (100 take
        about half an hour)
  -b    the build (build/release)

Exit status: 0, or 1 with the reason in the output.
U
}
kernel=6.1 seconds=600 pause=10 seed=$((RANDOM * 32768 + RANDOM)) rounds=0 cuts=0 build=build/release
while getopts k:t:p:s:r:l:b:h option; do
    case $option in
        k) kernel=$OPTARG ;;
        t) seconds=$OPTARG ;;
        p) pause=$OPTARG ;;
        s) seed=$OPTARG ;;
        r) rounds=$OPTARG ;;
        l) cuts=$OPTARG ;;
        b) build=$OPTARG ;;
        h) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
done
for number in "$seconds" "$pause" "$seed" "$rounds" "$cuts"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "soak: '$number' is not a number" >&2 && exit 2; }
done
cd "$(dirname "$0")/.."
# shellcheck source=scripts/vm/faults.sh
source scripts/vm/faults.sh
if ((cuts > 0)); then
    run_fault_program "$build" "$kernel" $((300 + 60 * cuts)) 'PathsTest.EitherLinkMayFail' \
        -e "NVMEOF_TEST_ROUNDS=$(((cuts + 1) / 2))"
    exit
elif ((rounds > 0)); then
    # Generous: a round takes less than a second, with an emulated processor, too.
    limit=$((300 + 2 * rounds))
    export NVMEOF_TEST_ROUNDS=$rounds
    scripts/vm/run_test.sh -k "$kernel" -t "$limit" -p rdma -p tc "$(realpath "$build")/bin/initiator_kernel_test" \
        --gtest_filter='*.ConnectsAndDisconnectsWithoutLeaking'
    run_fault_program "$build" "$kernel" "$limit" '*.ManyFlaps' -e "NVMEOF_TEST_ROUNDS=$rounds"
    exit
fi
echo "seed $seed"
# Starting, the last fault's healing, and taking down come on top.
run_fault_program "$build" "$kernel" $((seconds + 600)) 'Soak.*' \
    -e "NVMEOF_TEST_SOAK_SECONDS=$seconds" -e "NVMEOF_TEST_SOAK_PAUSE=$pause" -e "NVMEOF_TEST_SOAK_SEED=$seed"
