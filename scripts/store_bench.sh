#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
store_bench.sh [flags of store_bench]

Measures the object store against the engine below it, turn and turn about, and prints medians with the least and the
most, what is wanted, and what is missed. On local files, without NVMe-oF between; etcd is one of its own on this machine,
with its data beside the files. Installs and builds what it needs first. Twice:
  disk     files on the disk; all cases
  memory   files in memory (/dev/shm) behind a device that moves RATE megabytes a second, one request after the other
           (tests/perf/aio_shim), so that no disk's moods are measured; objects in and out, a full pool
From the environment:
  PLACES='disk memory'   which
  CASES=regex            which cases (all)                TURNS=number   of each (11)
  RATE=MB/s              of the device (3000)             RESULTS=folder for disk.json and memory.json
  TMPDIR=folder          for the files (/var/tmp): two of 2 GiB, and the directories; a file system with direct I/O
Flags: store_bench --help. With --object_size=BYTES --batch=N --threads=N such objects are measured, and nothing else.
Exit status: 0 if nothing is missed, 1 if something is, 2 if something failed. Takes some 10 minutes.
Measure on a machine that does nothing else.
U
}
case ${1-} in -h | --help) usage && exit ;; esac

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/vm/common.sh
source "$here/vm/common.sh"
cd "$here/.."
"$here/install_deps.sh" build servers
vm_say "building"
log=$(mktemp)
if ! { cmake --preset release && cmake --build --preset release -j "$(nproc)" --target store_bench nvmeof_generic_local aio_shim; } \
    > "$log" 2>&1 < /dev/null; then
    tail -n 100 "$log" >&2
    rm -f "$log"
    vm_die "the build failed"
fi
rm -f "$log"

bench=$PWD/build/release/bin/store_bench lib=$PWD/build/release/lib
export MC_TRANSPORT_PLUGIN_PATH=$lib/libnvmeof_generic_local.so
# Not /tmp, which is often a tmpfs.
disk=$(mktemp -d "${TMPDIR:-/var/tmp}/store-bench.XXXXXX")
memory='' etcd=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap '' HUP INT TERM
    [[ -z $etcd ]] || kill "$etcd" 2> /dev/null || : # it has ended
    [[ -z $etcd ]] || wait "$etcd" || :              # its result is of no interest any more
    rm -rf "$disk" "${memory:-$disk}"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

# start_etcd: sets $etcd and $url. Its peer socket is in the folder that it runs in.
start_etcd() {
    local port tries
    for ((tries = 0; tries < 10; tries++)); do
        port=$((20000 + RANDOM % 10000))
        url=http://127.0.0.1:$port
        (cd "$disk" && exec etcd --name=bench --data-dir=etcd --quota-backend-bytes=8589934592 --log-level=error \
            --listen-client-urls="$url" --advertise-client-urls="$url" --listen-peer-urls="unix://127.0.0.1:$port" \
            --initial-advertise-peer-urls="unix://127.0.0.1:$port" --initial-cluster="bench=unix://127.0.0.1:$port") \
            > "$disk/etcd.log" 2>&1 &
        etcd=$!
        while kill -0 "$etcd" 2> /dev/null; do
            ! curl -sf "$url/health" > /dev/null || return 0
            sleep 0.1
        done
        wait "$etcd" || : # another one had the port
        etcd=''
    done
    cat "$disk/etcd.log" >&2
    vm_die "etcd does not start"
}

[[ -z ${RESULTS-} ]] || mkdir -p "$RESULTS"
status=0 any=''
# measure <place> <flags>
measure() {
    local place=$1 result=0
    shift
    if [[ -z $("$bench" --list "$@") ]]; then
        vm_say "no case here matches '${CASES:-.}'"
        return
    fi
    any=yes
    [[ -z ${RESULTS-} ]] || set -- "$@" --json="$RESULTS/$place.json"
    "$bench" --turns="${TURNS:-11}" "$@" || result=$?
    ((result <= status)) || status=$result
}
for place in ${PLACES:-disk memory}; do
    vm_say "measuring ($place)"
    case $place in
        disk)
            start_etcd
            (cd "$disk" && exec sync)
            measure disk --folder="$disk" --etcd="etcd://${url#http://}" --etcd_process="$etcd" --cases="${CASES:-.}" "$@"
            ;;
        memory)
            memory=$(mktemp -d /dev/shm/store-bench.XXXXXX)
            AIO_SHIM=rate=${RATE:-3000} LD_PRELOAD=$lib/libaio_shim.so \
                measure memory --folder="$memory" --pool_mib=1025 --cases="^(?=get|put|full).*(${CASES:-.})" "$@"
            ;;
        *) usage >&2 && exit 2 ;;
    esac
done
[[ $any ]] || exit 2
exit $status
