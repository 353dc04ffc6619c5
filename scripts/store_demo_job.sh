#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# store_demo_job.sh <store_node> <mooncake_file_store> <parent folder>
#
# The part of store_demo.sh that needs the kernel, the same on this machine and in a guest, hence plain sh. The object
# "two" has a copy on each node, the others have one.
set -eu
node=$1 tool=$2 parent=$3
lease=15

folder=$(mktemp -d "$parent/store-demo.XXXXXX")
export MC_STORE_DIRECTORY="sqlite://$folder/store.db" STORE_NODE_LEASE=$lease GLOG_minloglevel=2
first='' second=''
clean_up() {
    trap '' HUP INT TERM
    for process in $first $second; do
        kill "$process" 2> /dev/null || continue
        wait "$process" || : # its result is of no interest any more
    done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n== %s\n' "$*"; }

# start <name> <port>: sets $started when the node serves its file.
start() {
    : > "$folder/log-$1"
    "$node" "$MC_STORE_DIRECTORY" "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=$2" "$folder/$1" > "$folder/log-$1" 2>&1 &
    started=$!
    tries=0
    until grep -q '^ready' "$folder/log-$1"; do
        tries=$((tries + 1))
        if [ $tries -gt 600 ] || ! kill -0 $started 2> /dev/null; then
            echo "store_demo: the node does not start:" >&2
            cat "$folder/log-$1" >&2
            exit 1
        fi
        sleep 0.1
    done
    cat "$folder/log-$1"
}

# read_all <word>: gets every object and compares it; with "some", those of one copy may be out of reach.
read_all() {
    for object in $objects; do
        if ! "$tool" get "$object" "$folder/got" 2> "$folder/error"; then
            echo "$object: out of reach"
            case $1-$object in
                some-one*) continue ;;
            esac
            cat "$folder/error" >&2
            exit 1
        fi
        cmp "$folder/$object" "$folder/got" || exit 1
        echo "$object: the bytes that were put"
    done
}

truncate -s 65M "$folder/first" "$folder/second"
say "two nodes, a file each"
start first 4420
first=$started
start second 4421
second=$started

say "objects of 1 MB: one with a copy on each node, three with one copy"
objects=''
for object in two one-1 one-2 one-3; do
    dd if=/dev/urandom of="$folder/$object" bs=1000 count=1000 2> /dev/null
    copies=1
    case $object in
        two*) copies=2 ;;
    esac
    "$tool" put --replicas=$copies "$object" "$folder/$object"
    objects="$objects $object"
done
"$tool" list
"$tool" status

say "each of them by a third process, over NVMe/TCP from the nodes' kernel"
read_all all

say "the second node is killed; when its lease of $lease s has ended, its file is out of reach"
kill -KILL $second
wait $second 2> /dev/null || : # it was killed
second=''
tries=0
while "$tool" status | grep -q "$folder/second"; do
    tries=$((tries + 1))
    [ $tries -le 400 ] || { echo "store_demo: its lease does not end" >&2 && exit 1; }
    sleep 0.2
done
"$tool" status
read_all some

say "it comes back with what it had"
start second 4421
second=$started
read_all all
"$tool" verify
