#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
restart_soak.sh [-k 6.1|6.12] [-n restarts] [-s seed] [-b folder]

Restarts a target again and again, some of them by SIGKILL, each with some of 4 files of one size in another order, at times with one that
was deleted and made anew, while two programs read and write all the files that they have ever seen by the numbers under which they
saw them first. Each sector names its file and its place: no byte of one file may ever be in another, nor be read as another's.
Runs in a guest with a stock Debian kernel; build first (cmake --build --preset release).

  -k    kernel (6.1)
  -n    how many restarts (200, which take 10 to 30 minutes)
  -s    of which files, in which order: the same seed gives the same (a random one, which is printed)
  -b    the build (build/release)

Exit status: 0, or 1 with the reason in the output.
U
}
kernel=6.1 restarts=200 seed=$((RANDOM * 32768 + RANDOM)) build=build/release
while getopts k:n:s:b:h option; do
    case $option in
        k) kernel=$OPTARG ;;
        n) restarts=$OPTARG ;;
        s) seed=$OPTARG ;;
        b) build=$OPTARG ;;
        h) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
done
for number in "$restarts" "$seed"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "restart_soak: '$number' is not a number" >&2 && exit 2; }
done
cd "$(dirname "$0")/.."
bin=$(realpath "$build")/bin
[[ -x $bin/restart_soak_kernel_test ]] || { echo "restart_soak: $bin has no restart_soak_kernel_test: build first" >&2 && exit 1; }
# Generous: a restart takes some seconds with an emulated processor.
exec scripts/vm/guest.sh -k "$kernel" -t $((300 + 20 * restarts)) -p "$bin/transfer_engine_metadata_server" \
    -p "$bin/transfer_engine_nvmeof_generic_bench" -p "$bin/restart_soak_kernel_test" \
    -f "${bin%/bin}/lib/libmooncake_transport_nvmeof_generic.so" \
    -e "NVMEOF_TEST_RESTARTS=$restarts" -e "NVMEOF_TEST_SOAK_SEED=$seed" << E2
modprobe -a nvmet nvmet-tcp nvme-tcp || exit 125
exec $bin/restart_soak_kernel_test
E2
