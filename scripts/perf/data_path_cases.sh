#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The cases of compare_job.sh that show what threads, files and segments are to each other; on local files, and where it
# says so with the shim before the kernel. For compare_job.sh to read; its functions and variables are used here.
# shellcheck disable=SC2154,SC2034

# several_files <count>: makes $files, blanks between them, of $size MiB together.
several_files() {
    files=''
    number=1
    while [ $number -le "$1" ]; do
        [ -e "$folder/sparse-$1-$number" ] || truncate -s "$((size / $1))M" "$folder/sparse-$1-$number"
        files="$files${files:+ }$folder/sparse-$1-$number"
        number=$((number + 1))
    done
}
# Latencies of fio's are those from the submission on, as the bench's are.
matrix_fio() {
    measured fio --name=compare --numjobs="$threads" --group_reporting --filename="$(echo "$files" | tr ' ' ':')" \
        --file_service_type=random --ioengine=libaio --direct=1 --thread --rw=randread --bs=4k --iodepth="$depth" --size="${size}M" \
        --time_based --runtime="$seconds" --ramp_time="$ramp" --norandommap --lat_percentiles=1 --clat_percentiles=0 \
        --percentile_list=99 --output-format=json
}
matrix_bench() {
    measured env "$bench" --mode=loopback --local_server_name=compare --files="$files" --metadata_server="$url" \
        --threads="$threads" --operation=randread --block_size=4k --iodepth="$depth" --duration="$seconds" \
        --ramp_time="$ramp" --output_format=json
}
matrix() {
    for threads in 1 2; do
        for number_of_files in 1 2 16; do
            for depth in 1 4 16; do
                name=matrix-${threads}t-${number_of_files}f-d$depth
                [ "$listing" ] || several_files $number_of_files
                compare "$name" matrix_fio matrix_bench
            done
        done
    done
}

# data_path <shim's settings, or -> <case of data_path_probe> [arguments]
data_path() {
    mkdir -p "$folder/probe"
    preload="AIO_SHIM=$1 LD_PRELOAD=$shim"
    [ "$1" != - ] || preload=''
    shift
    what=$1
    shift
    # shellcheck disable=SC2086 # several words
    env $preload ${hold:+"AIO_SHIM_HOLD=$hold"} $stepper "${probe%/*}/data_path_probe" "$what" "$folder/probe" "$seconds" "$@" \
        2> "$folder/log" || {
        cat "$folder/log" >&2
        exit 1
    }
}

# own_file <case> <rw> <block> <depth>: the file of one's own, without the network.
own_bench() { bench_side --local_access=direct --operation="$1" --block_size="$2" --iodepth="$3"; }
own_file() {
    if [ -z "$listing" ] && wanted "$1" && ! "$bench" --help 2>&1 | grep -q -- '-local_access '; then
        echo "MISSING $1 the bench has no --local_access"
        return 0
    fi
    compare "$1" "fio_side $2 $3 $4" "own_bench $2 $3 $4"
}

data_path_cases() {
    hold='' stepper=''
    turns=1
    absolute memory "${probe%/*}/io_bench --benchmark_filter=outstanding --benchmark_format=json"
    turns=$rounds
    matrix
    absolute fixed-latency-64-threads "data_path delay=4000 fixed-latency"
    absolute striped-256-over-16 "data_path count striped"
    stepper=${probe%/*}/stepper
    turns=1
    if [ -x "$stepper" ] || [ "$listing" ]; then
        absolute locked-instructions "data_path - one-request"
    fi
    turns=$rounds stepper=''
    absolute two-threads-own-files "data_path instant two-threads"
    absolute segments-128 "data_path instant many-segments"
    absolute setup-beside-pollers "data_path delay=4000 setup"
    [ "$listing" ] || { mkdir -p "$folder/probe" && : > "$folder/probe/sparse-1"; }
    hold=$folder/probe/sparse-1
    absolute wait-returns "data_path delay=2000 waits"
    hold=''
    use "$hole"
    own_file own-file-4k-d1 randread 4k 1
    own_file own-file-1m-d8 read 1m 8
    compare poll-only-4k "fio_side randread 4k 32" "data_path - poll-only 4096 $hole"
    compare poll-only-64k "fio_side randread 64k 32" "data_path - poll-only 65536 $hole"
}
