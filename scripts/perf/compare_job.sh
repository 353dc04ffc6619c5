#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare_job.sh <native|nvmeof> <folder of programs> <folder> <MiB> <rounds> <seconds> <cases> [shim]
#
# The shim, for native, is the library to preload that stands before the kernel (tests/perf/aio_shim).
#
# The part of compare_with_fio.sh that measures, the same on this machine and in a guest, hence plain sh. Prints a line
# for each measurement: RESULT <case> <side> <round> <processor time of the whole process, percent, or -> <fio's or the
# bench's JSON in one line>. Sides take turns, so that what else the machine does falls to both. A case that is not
# compared has one side, "only". Exit status 2 with a list of the cases where <cases> matches none.
set -eu
where=$1 server=$2/transfer_engine_metadata_server bench=$2/transfer_engine_nvmeof_generic_bench
probe=$2/engine_probe process_cpu=$2/process_cpu
parent=$3 size=$4 rounds=$5 seconds=$6 cases=$7 shim=${8-}

# What a program does before it measures, and when its processor time is looked at: it does its I/O by then, and does
# it still. To start takes a second in a guest without KVM.
ramp=1 from=1
[ "$where" = native ] || ramp=2 from=2.5
turns=$rounds pin='' environment=''
# The cases that need no NVMe-oF; a guest has only this file.
# shellcheck source=scripts/perf/data_path_cases.sh
[ "$where" != native ] || . "${0%/*}/data_path_cases.sh"

folder=$(mktemp -d "$parent/nvmeof-compare.XXXXXX")
file=$folder/data hole=$folder/hole
server_process='' target_process='' controller=''
clean_up() {
    trap '' HUP INT TERM
    [ -z "$controller" ] || [ ! -e "/sys/class/nvme/$controller" ] || echo 1 > "/sys/class/nvme/$controller/delete_controller"
    dmsetup resume --noudevsync nvmeof-hung 2> /dev/null || : # there is none, as a rule
    for process in $target_process $server_process; do
        kill "$process" 2> /dev/null || continue
        wait "$process" || : # its result is of no interest any more
    done
    dmsetup remove --noudevsync nvmeof-hung 2> /dev/null || : # as above
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

# until_said <file> <process> <sed expression>: waits for a line of a program's output.
until_said() {
    tries=0
    until said=$(sed -n "$3" "$1") && [ "$said" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 600 ] || ! kill -0 "$2" 2> /dev/null; then
            echo "compare_with_fio: a program does not come up:" >&2
            cat "$1" >&2
            exit 1
        fi
        sleep 0.1
    done
}

# make_file: random data, so that nothing on the way has it easier than with real data.
make_file() {
    dd if=/dev/urandom of="$file" bs=1M count="$size" 2> /dev/null
    sync
}
# need_file <case>...: makes the file if one of these is wanted and it is not there.
need_file() {
    [ -z "$listing" ] && [ ! -e "$file" ] || return 0
    for name in "$@"; do
        if wanted "$name"; then
            make_file
            return 0
        fi
    done
}
# use <file>: of this machine, which a guest has no choice of.
use() {
    [ "$where" = native ] && [ -z "$listing" ] || return 0
    device=$1
    mode="--mode=loopback --local_server_name=compare --files=$1"
}
# measured <program> [arguments]
measured() {
    # shellcheck disable=SC2086 # several words, or none
    "$process_cpu" $from $((ramp + seconds)) "$folder/cpu" $pin "$@" 2> "$folder/log" || {
        cat "$folder/log" >&2
        exit 1
    }
}
# fio_side <rw> <block> <depth>: random places are drawn anew each time, as the bench does it.
fio_side() {
    measured fio --name=compare --filename="$device" --ioengine=libaio --direct=1 --thread --rw="$1" --bs="$2" \
        --iodepth="$3" --size="${size}M" --time_based --runtime="$seconds" --ramp_time=$ramp --norandommap --output-format=json
}
# bench_side <flags>: assignments in $environment go before.
bench_side() {
    # shellcheck disable=SC2086 # several words each
    measured env $environment "$bench" $mode --metadata_server="$url" --duration="$seconds" --ramp_time=$ramp \
        --output_format=json "$@"
}
# wanted <case>: whether to measure it. While the cases are listed, none is.
wanted() {
    if [ "$listing" ]; then
        echo "$1"
        return 1
    fi
    echo "$1" | grep -qE "$cases"
}
# absolute <case> <command>: what is not compared; the command prints JSON.
absolute() {
    wanted "$1" || return 0
    round=1
    while [ $round -le "$turns" ]; do
        $2 > "$folder/result"
        echo "RESULT $1 only $round - $(tr -d '\n' < "$folder/result")"
        round=$((round + 1))
    done
}
# compare <case> <first side> <second side>: each side is a command; the first is what the second is measured against.
compare() {
    wanted "$1" || return 0
    round=1
    while [ $round -le "$turns" ]; do
        for side in first second; do
            [ $side = first ] && command=$2 || command=$3
            echo - > "$folder/cpu" # of a side that does not measure it
            $command > "$folder/result"
            echo "RESULT $1 $side $round $(cat "$folder/cpu") $(tr -d '\n' < "$folder/result")"
        done
        round=$((round + 1))
    done
}

# probe_side <what> <segment> <seconds> [arguments]
probe_side() {
    what=$1
    shift
    # shellcheck disable=SC2086 # several words
    env $environment "$probe" "$what" "$url" "$@" 2> "$folder/log" || {
        cat "$folder/log" >&2
        exit 1
    }
}
all_cases() {
    environment=''
    use "$hole"
    compare randread-4k "fio_side randread 4k 32" "bench_side --operation=randread --block_size=4k --iodepth=32"
    compare randread-64k "fio_side randread 64k 32" "bench_side --operation=randread --block_size=64k --iodepth=32"
    compare read-1m "fio_side read 1m 8" "bench_side --operation=read --block_size=1m --iodepth=8"
    need_file randwrite-64k unaligned-64k
    use "$file"
    # One before that does not count, in which a new file is overwritten for the first time. Both sides on one processor:
    # which one a thread wakes up on beside the disk's interrupts is chance, and counts more than what it does.
    if [ "$where" = native ] && [ -z "$listing" ] && wanted randwrite-64k; then
        pin="taskset -c $(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)"
        fio_side randwrite 64k 32 > "$folder/result"
        turns=$((2 * rounds))
    fi
    compare randwrite-64k "fio_side randwrite 64k 32" "bench_side --operation=randwrite --block_size=64k --iodepth=32"
    turns=$rounds pin=
    use "$hole"
    compare sequential-4k "fio_side read 4k 256" "bench_side --operation=read --block_size=4k --batch_size=256"
    # What copying costs beside a device; from a hole, which is as fast as a copy, for what it is worth.
    unaligned() {
        compare "$1" "bench_side --operation=randread --block_size=64k --iodepth=32" \
            "bench_side --operation=randread --block_size=65534 --iodepth=32"
    }
    [ "$where" != native ] || unaligned unaligned-64k-hole
    use "$file"
    unaligned unaligned-64k
    use "$hole"
    [ "$where" = native ] || turns=$((2 * rounds))
    for count in 1 2 4; do
        one_of() { environment=MC_NVMEOF_GENERIC_NUM_WORKERS=$count bench_side --operation=randread --block_size=4k --iodepth=32; }
        all_of() { environment='' bench_side --operation=randread --block_size=4k --iodepth=32; }
        compare workers-8-against-$count one_of all_of
    done
    turns=$rounds

    idle_segment=compare-target idle_file=''
    [ "$where" != native ] || idle_segment=compare idle_file=$hole
    idle() { probe_side idle $idle_segment 10 ${idle_file:+"$idle_file"}; }
    # The median of some: an emulated processor that the host takes away for a moment counts that time as its own.
    turns=$((rounds < 5 ? rounds : 5))
    absolute idle-10s idle
    turns=$rounds

    if [ "$where" = native ]; then
        # Without the kernel's part: I/O that ends at once.
        environment="LD_PRELOAD=$shim AIO_SHIM=instant"
        absolute requests "probe_side requests compare $seconds $hole"
        environment=''
        data_path_cases
        return 0
    fi
    hung_side() {
        probe_side beside compare-neighbours "$seconds" "dmsetup suspend --noflush --noudevsync nvmeof-hung" \
            "dmsetup resume --noudevsync nvmeof-hung"
    }
    wanted beside-hung || return 0
    kill $target_process
    wait $target_process || : # as it may
    disk=${NVMEOF_TEST_DISKS%% *}
    dmsetup create --noudevsync nvmeof-hung --table "0 $(blockdev --getsz "$disk") linear $disk 0"
    hung=$(grep -lx nvmeof-hung /sys/block/dm-*/dm/name)
    hung=${hung#/sys/block/}
    hung=/dev/${hung%%/*}
    "$bench" --mode=target --metadata_server="$url" --local_server_name=compare-neighbours \
        --files="$file $hung" > "$folder/target" 2>&1 &
    target_process=$!
    until_said "$folder/target" $target_process 's/^.*file 2 .*/registered/p'
    compare beside-hung "probe_side alone compare-neighbours $seconds" hung_side
}

listing=yes
names=$(all_cases)
if ! echo "$names" | grep -qE "$cases"; then
    echo "compare_with_fio: CASES='$cases' matches none of these:
$names" >&2
    exit 2
fi
listing=''
: > "$folder/server"
: > "$folder/target"
"$server" --host=127.0.0.1 --port=0 > "$folder/server" 2>&1 &
server_process=$!
until_said "$folder/server" $server_process 's/^listening on //p'
url=$said

if [ "$where" = native ]; then
    # A sparse file is read without a disk, whose speed is never the same twice: what differs is the software.
    truncate -s "${size}M" "$hole"
else
    make_file
    "$bench" --mode=target --metadata_server="$url" --local_server_name=compare-target --files="$file" \
        > "$folder/target" 2>&1 &
    target_process=$!
    until_said "$folder/target" $target_process 's/.*Serving subsystem \([^ ]*\) at.*/\1/p'
    nqn=$said
    until_said "$folder/target" $target_process 's/^.*file 1 .*/registered/p'
    # One connection for both: the transport uses one that somebody else has made.
    exec 3<> /dev/nvme-fabrics
    echo "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$nqn" >&3
    read -r answer <&3
    exec 3>&-
    controller=nvme${answer#*instance=}
    controller=${controller%%,*}
    tries=0
    until device=$(ls -d "/dev/$controller"n* 2> /dev/null) && [ -b "$device" ]; do
        tries=$((tries + 1))
        [ $tries -le 300 ] || { echo "compare_with_fio: $controller has no namespace" >&2 && exit 1; }
        sleep 0.1
    done
    mode="--mode=initiator --local_server_name=compare --segment_id=compare-target"
fi

all_cases
