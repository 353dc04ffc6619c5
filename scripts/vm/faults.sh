# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# run_fault_program <build folder> <kernel> <seconds> <test filter> [guest.sh options]: runs the program of
# tests/kernel/faults in a guest, tests included that the usual run leaves out. To be sourced in the project's folder.
run_fault_program() {
    local bin kernel=$2 limit=$3 filter=$4
    bin=$(realpath "$1")/bin
    shift 4
    [[ -x $bin/fault_kernel_test ]] || { echo "$bin has no fault_kernel_test: build first" >&2 && return 1; }
    scripts/vm/guest.sh -k "$kernel" -t "$limit" -d 64 -p ip -p tc -p nsenter -p dmsetup -p rdma \
        -p "$bin/fault_target" -p "$bin/transfer_engine_metadata_server" -p "$bin/fault_kernel_test" \
        -f "${bin%/bin}/lib/libmooncake_transport_nvmeof_generic.so" "$@" << E2
modprobe -a nvmet nvmet-tcp nvme-tcp || exit 125
exec $bin/fault_kernel_test --gtest_also_run_disabled_tests --gtest_filter='$filter'
E2
}
