#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# store_soak.sh [-b build folder] [-t seconds] [-s seed] [-d directory address | -e] [-p plugin]: three nodes of the object store put and get
# at random in each other's files while, drawn from the seed, one of them is killed, stopped past its lease, or has a byte of its disk changed.
#
# With -e their directory is an etcd of the script's own, which is killed and stopped now and then, too; without -d and -e it is on SQLite.
#
# Every byte that a get gives is compared. At the end all nodes are started once more, and every pinned object of two copies is read: none may
# be lost. Exit status 1 for a wrong byte or a lost object. Without -p the files are read and written directly, without nvmet: that needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/release
seconds=60
seed=$RANDOM
directory=
own_etcd=0
plugin=
while getopts b:t:s:d:ep: option; do
    case $option in
        b) build=$OPTARG ;;
        t) seconds=$OPTARG ;;
        s) seed=$OPTARG ;;
        d) directory=$OPTARG ;;
        e) own_etcd=1 ;;
        p) plugin=$OPTARG ;;
        *) sed -n '3s/^# //p' "$0" >&2 && exit 2 ;;
    esac
done
build=$(realpath "$build")
node=$build/bin/store_soak_node
[ -x "$node" ] || { echo "store_soak: $node is missing; build the target store_soak_node" >&2 && exit 2; }
work=$(mktemp -d "$build/store-soak-XXXXXX")
export MC_TRANSPORT_PLUGIN_PATH=${plugin:-$build/lib/libnvmeof_generic_local.so} MC_LOCAL_TRANSPORT_FOLDER=$work GLOG_minloglevel=${GLOG_minloglevel-2}
etcd_pid=0
etcd_port=$((20000 + RANDOM % 10000))
((own_etcd == 0)) || directory=etcd://127.0.0.1:$etcd_port/soak
directory=${directory:-sqlite://$work/store.db}
address="trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420"
RANDOM=$seed
echo "store_soak: seed $seed, $seconds s, in $work"
declare -a pids=(0 0 0) starts=(0 0 0)

finish() {
    for pid in "${pids[@]}" "$etcd_pid"; do
        ((pid == 0)) || kill -KILL "$pid" 2> /dev/null || true # it may have ended
    done
    rm -rf "$work"
}
trap finish EXIT

# Those who use it wait until it answers. Its peer socket is in the folder that it runs in.
start_etcd() {
    local url=http://127.0.0.1:$etcd_port peer=unix://127.0.0.1:$etcd_port
    (cd "$work" && exec etcd --name=soak --data-dir=etcd --listen-client-urls="$url" --advertise-client-urls="$url" \
        --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" --initial-cluster="soak=$peer" \
        --auto-compaction-mode=revision --auto-compaction-retention=1000) > "$work/etcd.log" 2>&1 &
    etcd_pid=$!
}

# start <number>: and waits until it has mounted its file, which may take a lease.
start() {
    ((starts[$1] += 1))
    local log=$work/log.$1.${starts[$1]}
    "$node" run "$directory" "node$1" "$work/file$1" $((seed + $1 * 100 + starts[$1])) "$work/acknowledged.$1" "$address" \
        > "$log" 2>&1 &
    pids[$1]=$!
    for ((i = 0; i < 600; i++)); do
        grep -qs 'is ready' "$log" && return
        kill -0 "${pids[$1]}" 2> /dev/null || break
        sleep 0.1
    done
    echo "store_soak: node$1 does not start:" >&2
    cat "$log" >&2
    exit 1
}

# ended <number> <status that is right>
ended() {
    local status=0
    # The shell would say that it was killed.
    { wait "${pids[$1]}" || status=$?; } 2> /dev/null
    pids[$1]=0
    if ((status != $2)); then
        echo "store_soak: node$1 ended with $status:" >&2
        cat "$work"/log."$1".* >&2
        exit 1
    fi
}

((own_etcd == 0)) || start_etcd
for n in 0 1 2; do
    truncate -s 97M "$work/file$n"
    : > "$work/acknowledged.$n"
    start $n
done
end=$((SECONDS + seconds))
kills=0 stops=0 flips=0 etcd_kills=0 etcd_stops=0
while ((SECONDS < end)); do
    sleep 0.$((RANDOM % 9 + 1))
    n=$((RANDOM % 3))
    kill -0 "${pids[$n]}" 2> /dev/null || ended $n 0
    case $((RANDOM % (4 + own_etcd))) in
        0)
            kill -KILL "${pids[$n]}"
            ended $n 137
            start $n
            kills=$((kills + 1))
            ;;
        1)
            kill -STOP "${pids[$n]}"
            sleep $((RANDOM % 4)).5
            kill -CONT "${pids[$n]}"
            stops=$((stops + 1))
            ;;
        4)
            if ((RANDOM % 2)); then
                kill -KILL "$etcd_pid"
                { wait "$etcd_pid" || true; } 2> /dev/null # its status is that of the signal
                sleep $((RANDOM % 3)).2
                start_etcd
                etcd_kills=$((etcd_kills + 1))
            else
                kill -STOP "$etcd_pid"
                sleep $((RANDOM % 4)).5
                kill -CONT "$etcd_pid"
                etcd_stops=$((etcd_stops + 1))
            fi
            ;;
        *)
            # Only of one disk: the other copy stays good. Not of the superblock.
            at=$((1048576 + (RANDOM * 32768 + RANDOM) % (96 * 1048576)))
            printf %b "\\x$(printf %02x $((RANDOM % 256)))" | dd of="$work/file0" bs=1 seek=$at conv=notrunc,fdatasync status=none
            flips=$((flips + 1))
            ;;
    esac
done
for n in 0 1 2; do
    kill -TERM "${pids[$n]}"
    ended $n 0
    tail -n 1 "$work/log.$n.${starts[$n]}"
done
echo "store_soak: $kills kills, $stops stops, $flips changed bytes; of etcd $etcd_kills kills and $etcd_stops stops"
for n in 0 1 2; do start $n; done
"$node" check "$directory" "$work"/acknowledged.*
