#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# loopback_job.sh <metadata server> <bench> <parent folder> <operations> [bench flags]
#
# The part of loopback_bench.sh that needs the kernel, the same on this machine and in a guest, hence plain sh: starts the
# metadata server, makes two files, runs the bench once for each operation, and takes everything away again.
set -eu
server=$1 bench=$2 parent=$3 operations=$4
shift 4

folder=$(mktemp -d "$parent/nvmeof-loopback.XXXXXX")
server_process='' bench_process=''
clean_up() {
    trap '' HUP INT TERM
    # The bench first: it takes its exports back while the metadata server still listens.
    for process in $bench_process $server_process; do
        kill "$process" 2> /dev/null || continue
        wait "$process" || : # its result is of no interest any more
    done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

"$server" --host=127.0.0.1 --port=0 > "$folder/server" 2>&1 &
server_process=$!
tries=0
until url=$(sed -n 's/^listening on //p' "$folder/server") && [ "$url" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 $server_process 2> /dev/null; then
        echo "loopback_bench: the metadata server does not come up:" >&2
        cat "$folder/server" >&2
        exit 1
    fi
    sleep 0.1
done

truncate -s 64M "$folder/first" "$folder/second"
for operation in $operations; do
    echo "loopback_bench: $operation over NVMe-oF, with verification"
    "$bench" --mode=loopback --operation="$operation" --verify --metadata_server="$url" \
        --local_server_name=loopback --files="$folder/first $folder/second" "$@" &
    bench_process=$!
    status=0
    wait $bench_process || status=$?
    bench_process=''
    [ $status -eq 0 ] || exit $status
done
