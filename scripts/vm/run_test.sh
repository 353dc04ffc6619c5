#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
run_test.sh -k 6.1|6.12 [-t seconds] [-p program]... [-f file[:place]]... [-r folder[:place]]... [-d MiB]... program [arguments]

Runs a test program that needs root and a kernel with nvmet and nvme-tcp: right here if this machine's own kernel is of
the wanted version, has them, and we are root; else in a guest (see guest.sh, whose options these are). It says which.
NVMEOF_TEST_KERNEL=native insists on this machine's kernel whatever its version, NVMEOF_TEST_KERNEL=guest on a guest.

The program finds a folder of its own on ext4 or another file system with direct I/O in $NVMEOF_TEST_DIR, the disks
asked for with -d in $NVMEOF_TEST_DISKS, separated by spaces, and nvmet, nvmet-tcp, nvme-tcp and configfs ready for use.
Exit status: the program's own; 124 when the limit is over; 125 when there is no kernel to run on, or when the kernel
reported a defect of its own.
U
}
# shellcheck source=scripts/vm/common.sh
source "$(dirname "$0")/common.sh"
# shellcheck source=scripts/vm/kernel_log.sh
source "$(dirname "$0")/kernel_log.sh"
# shellcheck source=scripts/vm/native.sh
source "$(dirname "$0")/native.sh"
export PATH=$PATH:/usr/sbin:/sbin

kernel='' limit=300 guest_options=() disk_sizes=()
while getopts k:t:p:f:r:d:h option; do
    case $option in
        k) kernel=$OPTARG ;;
        t) limit=$OPTARG ;;
        p | f | r) guest_options+=("-$option" "$OPTARG") ;;
        d) disk_sizes+=("$OPTARG") guest_options+=(-d "$OPTARG") ;;
        h) usage && exit ;;
        *) usage >&2 && exit 125 ;;
    esac
done
shift $((OPTIND - 1))
if [[ -z $kernel ]] || (($# == 0)); then
    usage >&2
    exit 125
fi

folder='' loops=() program=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    if [[ $program ]]; then
        kill "$program" 2> /dev/null || : # it has ended
        wait "$program" 2> /dev/null || : # nobody asks for its status any more
    fi
    local loop
    for loop in "${loops[@]}"; do losetup -d "$loop"; done
    [[ -z $folder ]] || rm -rf "$folder"
}

run_here() {
    local size image status=0 mark trouble
    # The kernel's nvmet is one for all: one test at a time.
    vm_lock native
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # Not /tmp, which is often a tmpfs, without direct I/O.
    folder=$(mktemp -d "${NVMEOF_TEST_DIR:-/var/tmp}/nvmeof-test.XXXXXX")
    mkdir "$folder/data"
    for size in "${disk_sizes[@]}"; do
        image=$folder/disk${#loops[@]}
        truncate -s "${size}M" "$image"
        loops+=("$(losetup --find --show "$image")")
    done
    mark="nvmeof test $$ of $(date +%s)"
    echo "$mark" > /dev/kmsg
    NVMEOF_TEST_DIR=$folder/data NVMEOF_TEST_DISKS=${loops[*]} timeout --kill-after=10 "$limit" "$@" < /dev/null &
    program=$!
    wait $program || status=$?
    program=''
    if trouble=$(dmesg | sed "1,/$mark/d" | kernel_trouble); then
        status=125
        vm_say "the kernel reports a defect:"
        printf '%s\n' "$trouble" >&2
    elif ((status == 124 || status == 137)); then
        status=124
        vm_say "the limit of $limit s is over"
    fi
    exit "$status"
}

why=$(native_obstacle "$kernel")
if [[ -z $why ]]; then
    vm_say "on this machine's kernel $(uname -r)"
    run_here "$@"
fi
[[ ${NVMEOF_TEST_KERNEL-} != native ]] || vm_die "cannot run on this machine's kernel, as NVMEOF_TEST_KERNEL asks: $why"
vm_say "in a guest with kernel $kernel ($why)"
program_path=$(type -P -- "$1") || vm_die "there is no program '$1'"
program_path=$(realpath -s -- "$program_path")
exec "$(dirname "$0")/guest.sh" -k "$kernel" -t "$limit" "${guest_options[@]}" -p "$program_path" << E
modprobe -a nvmet nvmet-tcp nvme-tcp || { echo "the guest's kernel lacks nvmet or nvme-tcp"; exit 125; }
exec $(vm_quote "$program_path" "${@:2}")
E
