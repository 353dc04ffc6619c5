#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# power_cut_test.sh <scripts/vm> <fault_target> <fault_kernel_test> <metadata server> <plugin>
#
# Two guests are two hosts, and killing one is a power cut:
# - the target's power fails under load: each request ends, and when a host with this name is back, all goes on;
# - the initiator's power fails at the moment a write COMPLETED: the data is at the target (case 42).
# shellcheck disable=SC2016 # the guest expands what stands in single quotes
set -euo pipefail
guest=$1/guest.sh target_program=$2 test_program=$3 server=$4 plugin=$5
readonly kPort=4800 kInitiator=10.1.0.2 kTarget=10.1.0.1
work=$(mktemp -d)
cable=power-$$
declare -A guests=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    ((${#guests[@]} == 0)) || kill "${guests[@]}" 2> /dev/null || : # those that have not ended
    wait
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    tail -n 40 "$work"/*.log >&2
    exit 1
}

# until_true <seconds> <command>: waits for an event.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || fail "this did not come true in time: $*"
        sleep 0.1
    done
}

says() { grep -qE -- "$2" "$work/$1.log"; }
lines() { (($(grep -cE -- "$2" "$work/$1.log") >= $3)); }

# cut_power <name>: what the guest wrote to is gone with it, as far as it was not on the other host.
cut_power() {
    kill -KILL "${guests[$1]}"
    wait "${guests[$1]}" 2> /dev/null || : # killed
    unset "guests[$1]"
}

start_target() {
    "$guest" -k 6.12 -t 300 -n "$cable:$kTarget" -p "$target_program" -f "$plugin" > "$work/$1.log" 2>&1 << S &
modprobe -a nvmet nvmet-tcp nvme-tcp
dd if=/dev/zero of=/data/file bs=1M count=4 2> /dev/null
mkfifo /control
(
    # The metadata server is on the other host, which may still be starting.
    until $target_program - http://$kInitiator:$kPort/metadata power "trtype=tcp traddr=$kTarget" /control /data/file; do sleep 1; done
) &
while :; do
    echo "file \$(md5sum < /data/file)"
    sleep 1
done
S
    guests[$1]=$!
}

start_target first
"$guest" -k 6.1 -t 300 -n "$cable:$kInitiator" -p "$test_program" -p "$server" -f "$plugin" \
    -e NVMEOF_TEST_METADATA_PORT=$kPort > "$work/initiator.log" 2>&1 << S &
modprobe nvme-tcp
exec $test_program --gtest_also_run_disabled_tests --gtest_filter=PowerCut.DISABLED_Initiator
S
guests[initiator]=$!

until_true 150 says initiator '^under load$'
cut_power first
until_true 120 says initiator '^every request ended'
start_target second
until_true 150 says initiator '^written '
cut_power initiator
wanted=$(sed -nE 's/^written ([0-9a-f]+).*/\1/p' "$work/initiator.log")
seen=$(grep -cE '^file ' "$work/second.log" || :)
until_true 60 lines second '^file ' $((seen + 2))
found=$(grep -E '^file ' "$work/second.log" | tail -n 1)
grep -E 'every request ended|healed' "$work/initiator.log"
[[ $found == "file $wanted "* ]] || fail "the write COMPLETED, and the file is not what was written: $found, not $wanted"
echo "the data of a COMPLETED write is at the target: $found"
