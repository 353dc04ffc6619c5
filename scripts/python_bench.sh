#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
python_bench.sh [flags of tests/perf/python_calls/compare.py]

Measures what a call of the store costs from Python beyond the same call in C++, both in one process, turn and turn about,
and prints medians with the least and the most, what is wanted, and what is missed. On local files, without NVMe-oF
between. Builds what it needs first. From the environment:
  PLACE=memory|disk   files in /dev/shm behind a device that moves RATE megabytes a second, one request after the other
                      (tests/perf/aio_shim), so that no disk's moods are measured; or on the disk (memory)
  RATE=MB/s           of that device (3000)
  TMPDIR=folder       for the disk's files (/var/tmp): two of 1 GiB; a file system with direct I/O
Flags: --turns=11, --scale=1 (longer turns), --json=file.
Exit status: 0 if nothing is missed, 1 if something is. Takes some 5 minutes. Measure on a machine that does nothing else.
U
}
case ${1-} in -h | --help) usage && exit ;; esac

cd "$(dirname "$0")/.."
# shellcheck source=scripts/vm/common.sh
source scripts/vm/common.sh
scripts/install_deps.sh build
vm_say "building"
log=$(mktemp)
if ! { cmake --preset release && cmake --build --preset release -j "$(nproc)" --target store_cpp_side mooncake_files_store nvmeof_generic_local aio_shim; } \
    > "$log" 2>&1 < /dev/null; then
    tail -n 100 "$log" >&2
    rm -f "$log"
    vm_die "the build failed"
fi
rm -f "$log"
lib=$PWD/build/release/lib shim=()
case ${PLACE:-memory} in
    memory)
        parent=/dev/shm
        shim=("AIO_SHIM=rate=${RATE:-3000}" "LD_PRELOAD=$lib/libaio_shim.so")
        ;;
    disk) parent=${TMPDIR:-/var/tmp} ;;
    *) usage >&2 && exit 2 ;;
esac
folder=$(mktemp -d "$parent/python-bench.XXXXXX")
trap 'rm -rf "$folder"' EXIT
python=$(sed -n 's/^Python_EXECUTABLE:[^=]*=//p' build/release/CMakeCache.txt)
env "${shim[@]}" PYTHONPATH="$PWD/build/release/python" MC_TRANSPORT_PLUGIN_PATH="$lib/libnvmeof_generic_local.so" GLOG_minloglevel=1 \
    "$python" tests/perf/python_calls/compare.py --library="$lib/libstore_cpp_side.so" --folder="$folder" "$@"
