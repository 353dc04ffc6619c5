#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
compare_with_fio.sh [native] [guest]

Measures the transport against fio (libaio, direct I/O, same device, block size and depth), turn and turn about, and
prints the ratios of throughput and of CPU time with their spread. Installs and builds what it needs first. Both places
if none is named:
  native   the transport's engine, queues and I/O on local files, without NVMe-oF between: reads from a sparse file, so
           that no disk is measured, writes to one on a disk; and what threads, files and segments are to each other
  guest    NVMe/TCP over loopback in a guest, on the same namespace
From the environment:
  ROUNDS=number   turns of each case (native 20, guest 10); of those that vary most, writes to a disk and, in the
                  guest, numbers of workers, twice as many
  SECONDS_EACH=seconds   of each measurement (native 1, guest 3)
  SIZE_MIB=MiB    of the file (1024; in the guest 256)            KERNEL=6.1|6.12   of the guest (6.12)
  CASES=regex   only these (all); one that matches none has the cases listed
  RESULTS=folder  writes native.json and guest.json there: all measurements, the ratios' for plot_bench.py
Exit status: 0 if every target is met, 1 if one is missed (a line MISSED for each) or something failed, 2 if CASES
matches none. Takes some 80 minutes for both.
Measure on a machine that does nothing else: rates in a guest without KVM say nothing by themselves, only the ratios do.

While writing code, one case with few turns takes seconds:
  ROUNDS=5 CASES=matrix-2t-1f-d4 compare_with_fio.sh native
Cases of their own, native alone (tests/perf/data_path, in the order of compare_job.sh):
  matrix-<n>t-<n>f-d<n>     threads, files and depth, random reads of 4K; fio with as many jobs on the same files
  fixed-latency-64-threads  a thread for each request, I/O of 4 ms: processor time and context switches of a request
  striped-256-over-16       a batch of 256 reads over 16 files: calls of io_submit, time of a request
  locked-instructions       of a request, by single steps; build/release/bin/stepper -v shows which
  two-threads-own-files     processor time of a request beside another thread, without the kernel's part
  segments-128              the same over 128 segments in turn against one, two threads
  setup-beside-pollers      uninstalling, installing and opening a segment while 16 threads poll
  wait-returns              waitForProgress where something has ended since, the 95th percentile of each scenario
  own-file-...              a file of one's own without the network, against fio
  poll-only-...             a program that only polls, against fio
U
}
places=()
for argument in "$@"; do
    case $argument in
        native | guest) places+=("$argument") ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
done
((${#places[@]})) || places=(native guest)

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/vm/common.sh
source "$here/vm/common.sh"
cd "$here/.."
"$here/install_deps.sh" build guest perf
vm_say "building"
targets=(transfer_engine_metadata_server transfer_engine_nvmeof_generic_bench mooncake_transport_nvmeof_generic
    nvmeof_generic_local engine_probe data_path_probe process_cpu aio_shim io_bench)
[[ $(uname -m) != x86_64 ]] || targets+=(stepper)
log=$(mktemp)
if ! { cmake --preset release && cmake --build --preset release -j "$(nproc)" --target "${targets[@]}"; } > "$log" 2>&1 < /dev/null; then
    tail -n 100 "$log" >&2
    rm -f "$log"
    vm_die "the build failed"
fi
rm -f "$log"

cases=${CASES:-.}
bin=$PWD/build/release/bin lib=$PWD/build/release/lib
# in_guest: measures there. What a guest had measured that died is thrown away.
in_guest() {
    local size=${SIZE_MIB:-256} attempt result
    for attempt in 1 2 3; do
        result=0
        "$here/vm/guest.sh" -s -k "${KERNEL:-6.12}" -t $((600 + 60 * rounds * (seconds + 8))) -D $((size + 128)) \
            -f "$here/perf/compare_job.sh" -f "$lib/libmooncake_transport_nvmeof_generic.so" \
            -p "$bin/transfer_engine_metadata_server" -p "$bin/transfer_engine_nvmeof_generic_bench" \
            -p "$bin/engine_probe" -p "$bin/process_cpu" -p fio -p dmsetup -p blockdev -d 64 << G || result=$?
modprobe -a nvmet-tcp nvme-tcp || exit 125
exec sh $(vm_quote "$here/perf/compare_job.sh" nvmeof "$bin") "\$NVMEOF_TEST_DIR" $size $rounds $seconds $(vm_quote "$cases")
G
        ((result == 125)) || return $result
        echo "RESTART after attempt $attempt"
    done
    return $result
}
status=0
for place in "${places[@]}"; do
    vm_say "measuring ($place)"
    result=()
    to=()
    [[ $place == native ]] || to+=(--emulated)
    if [[ -n ${RESULTS-} ]]; then
        mkdir -p "$RESULTS"
        to+=(--json "$RESULTS/$place.json")
    fi
    # Short turns and many: neither a disk nor a host that others use too is as fast from one second to the next. A
    # program takes longer to come up in a guest.
    if [[ $place == native ]]; then
        rounds=${ROUNDS:-20} seconds=${SECONDS_EACH:-1}
        # Not /tmp, which is often a tmpfs, without direct I/O.
        MC_TRANSPORT_PLUGIN_PATH=$lib/libnvmeof_generic_local.so "$here/perf/compare_job.sh" native "$bin" \
            "${TMPDIR:-/var/tmp}" "${SIZE_MIB:-1024}" "$rounds" "$seconds" "$cases" "$lib/libaio_shim.so"
    else
        rounds=${ROUNDS:-10} seconds=${SECONDS_EACH:-3} in_guest
    fi | "$here/perf/ratios.py" "${to[@]}" || result=("${PIPESTATUS[@]}")
    # The first of them knows that there is no such case.
    ((${result[0]:-0} == 2)) && exit 2
    ((${result[0]:-0} == 0 && ${result[1]:-0} == 0)) || status=1
done
exit $status
