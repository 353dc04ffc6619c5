#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# guest_test.sh <case>
#
# The test bed's own promises: what scripts/vm/guest.sh does with a program that fails, with a kernel that fails, with a
# guest that hangs, with much output, when it is killed, and with two guests on one cable. Each case boots guests.
# shellcheck disable=SC2016 # the guest expands what stands in single quotes
set -euo pipefail
guest=$(cd "$(dirname "$0")/../../../scripts/vm" && pwd)/guest.sh
work=$(mktemp -d)
background=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    ((${#background[@]} == 0)) || kill "${background[@]}" 2> /dev/null || : # those that have not ended
    wait
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    tail -n 100 "$work"/out* >&2
    exit 1
}

# run <wanted status> <guest.sh options>: runs a guest; its output goes to $work/out.
run() {
    local wanted=$1 status=0
    shift
    "$guest" "$@" > "$work/out" 2>&1 || status=$?
    ((status == wanted)) || fail "the status is $status and should be $wanted"
}

# says <regular expression>, silent_about <regular expression>: about the output of the last run.
says() { grep -qE -- "$1" "$work/out" || fail "the output does not say '$1'"; }
silent_about() { ! grep -qE -- "$1" "$work/out" || fail "the output says '$1'"; }

# until_true <seconds> <command>: waits for an event.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || fail "this did not come true in time: $*"
        sleep 0.05
    done
}

# Any process of a run has the run's folder on its command line or is guest.sh itself.
some_process_of() { grep -qs -- "$1" /proc/[0-9]*/cmdline; }
no_process_of() { ! some_process_of "$1"; }

case_status() {
    run 7 sh -c 'echo "one word" "$0" "$1"; exit 7' "it's" '$HOME'
    says "^one word it's \\\$HOME$"
    MC_TEST_VALUE="a 'quoted' value" GLOG_v=3 run 0 -e OTHER=x \
        <<< 'echo "$MC_TEST_VALUE|$GLOG_v|$OTHER" >> /dev/stderr; dmesg | grep "tsc: Detected"'
    says "^a 'quoted' value\|3\|x$"
    silent_about $'\r'
    # What the guest's seconds are made of. Where it has measured its processor as well, it names both.
    [[ -e /sys/devices/system/cpu/cpu0/cpufreq ]] ||
        says "tsc: Detected $(awk '/^cpu MHz/ {print $4; exit}' /proc/cpuinfo) MHz"
}

case_kernel_message() {
    run 125 <<< 'echo "<1>BUG: made up for the test" > /dev/kmsg'
    says 'BUG: made up for the test'
    run 125 -k 6.12 <<< 'echo "<4>WARNING: CPU: 0 PID: 1 at made/up.c:1 test" > /dev/kmsg'
    says 'WARNING: CPU: 0 PID: 1 at made/up.c:1'
    # Errors that a test provokes on purpose are not the kernel's defects.
    run 0 -l "$work/log" <<< 'echo "<3>nvme nvme0: failed to connect queue: 0 ret=-111" > /dev/kmsg'
    grep -q 'failed to connect queue' "$work/log" || fail "the log lacks the message"
}

case_panic() {
    # The crash must not overtake the line on its way out of the guest.
    run 125 <<< 'echo before; until grep -q "^wchar: [1-9]" /proc/$(pidof cat)/io; do :; done
        echo c > /proc/sysrq-trigger; sleep 100; echo after'
    says '^before$'
    says 'Kernel panic - not syncing: sysrq triggered crash'
    silent_about '^after$'
}

case_limit() {
    run 124 -t 40 <<< 'echo before; sleep 1000'
    says '^before$'
    says 'sleep \(thread [0-9]+, state S\)'
    # A guest whose processor never comes back to its init cannot end itself.
    run 124 -t 30 -c 1 -p chrt <<< 'echo before; echo -1 > /proc/sys/kernel/sched_rt_runtime_us; chrt -f 99 sh -c "while :; do :; done"'
    says '^before$'
    says 'the limit of 30 s is over; the last lines'
    silent_about 'what is still running'
}

case_big_output() {
    # Ends at once after the last byte, and leaves a process behind that holds the output open.
    run 3 <<< 'seq 1 1000000; sleep 1000 & exit 3'
    seq 1 1000000 | cmp - "$work/out" || fail "the output is not what was printed"
}

case_killed() {
    local signal folder
    for signal in TERM KILL; do
        folder=$work/$signal
        mkdir "$folder"
        : > "$work/out"
        TMPDIR=$folder "$guest" <<< 'echo started; sleep 1000' > "$work/out" 2>&1 &
        background=($!)
        until_true 120 grep -q started "$work/out"
        some_process_of "$folder" || fail "no process of the guest is found"
        kill -s "$signal" "${background[0]}"
        wait "${background[0]}" 2> /dev/null && fail "a killed guest.sh returned 0"
        background=()
        until_true 20 no_process_of "$folder"
        [[ $signal == KILL ]] || rmdir "$folder" || fail "a folder is left behind: $(ls "$folder")"
    done
    # The next run sweeps away what the killed one could not.
    touch -d '2 minutes ago' "$folder"/nvmeof-guest.*
    TMPDIR=$folder run 0 true
    rmdir "$folder" || fail "the killed run's folder is still there: $(ls "$folder")"
}

# The way of run_test.sh on a machine that has nvmet itself: a guest is such a machine.
case_native() {
    local scripts file options=(-k 6.1)
    scripts=$(dirname "$guest")
    for file in bash timeout losetup mountpoint flock sleep; do options+=(-p "$file"); done
    for file in "$scripts"/*.sh; do options+=(-f "$file"); done
    run 0 "${options[@]}" << EOF
modprobe loop
cat > /test << 'IN'
#!/bin/sh
echo "arguments \$*"
echo "folder \$NVMEOF_TEST_DIR"
dd if=/dev/zero of="\$NVMEOF_TEST_DIR/file" bs=4096 count=1 oflag=direct || exit 1
[ -d /sys/kernel/config/nvmet/ports ] || exit 1
for disk in \$NVMEOF_TEST_DISKS; do blockdev --getsize64 \$disk; done
[ "\$1" != bug ] || echo "<1>BUG: made up for the test" > /dev/kmsg
[ "\$1" != hang ] || sleep 1000
exit "\$2"
IN
chmod +x /test
try() {
    wanted=\$1
    shift
    $scripts/run_test.sh -k 6.1 -d 16 -d 8 -t "\$@"
    status=\$?
    [ \$status = \$wanted ] || { echo "status \$status instead of \$wanted for \$*"; exit 1; }
    [ -z "\$(losetup -a)" ] || { echo "a loop device is left behind"; exit 1; }
    [ -z "\$(ls /var/tmp /data | grep nvmeof)" ] || { echo "a folder is left behind"; exit 1; }
}
echo "<1>BUG: of before the test" > /dev/kmsg
try 0 60 /test 'two words' 0
try 7 60 /test fails 7
try 125 60 /test bug 0
try 124 2 /test hang 0
# What was made up must not be found at the end of the guest.
dmesg -c > /dev/null
EOF
    says "on this machine's kernel 6\.1\."
    says '^arguments two words 0$'
    says '^folder /data/nvmeof-test\.[^/]*/data$'
    says '^16777216$'
    says '^8388608$'
    says 'BUG: made up for the test'
    silent_about 'BUG: of before the test'
}

case_two_guests() {
    local cable=test-$$ nqn=nqn.2024-01.test:two-guests target initiator
    "$guest" -k 6.1 -n "$cable:10.1.0.1" > "$work/out.target" 2>&1 << EOF &
modprobe nvmet-tcp
dd if=/dev/urandom of=/data/file bs=1M count=8 2> /dev/null
echo "before \$(md5sum < /data/file)"
cd /sys/kernel/config/nvmet
mkdir subsystems/$nqn subsystems/$nqn/namespaces/1 ports/1
echo 1 > subsystems/$nqn/attr_allow_any_host
echo /data/file > subsystems/$nqn/namespaces/1/device_path
echo 1 > subsystems/$nqn/namespaces/1/enable
echo tcp > ports/1/addr_trtype
echo ipv4 > ports/1/addr_adrfam
echo 10.1.0.1 > ports/1/addr_traddr
echo 4420 > ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/subsystems/$nqn ports/1/subsystems/
nc -l -p 9000 < /dev/null
echo "after \$(md5sum < /data/file)"
EOF
    target=$!
    "$guest" -k 6.12 -n "$cable:10.1.0.2" > "$work/out.initiator" 2>&1 << EOF &
# wait_for <command>: up to a minute
wait_for() {
    tries=0
    until "\$@"; do tries=\$((tries + 1)); [ \$tries -lt 600 ] || exit 1; usleep 100000; done
}
connect() { echo transport=tcp,traddr=10.1.0.1,trsvcid=4420,nqn=$nqn > /dev/nvme-fabrics; }
modprobe nvme-tcp
wait_for ping -q -c 1 -W 1 10.1.0.1
wait_for connect
wait_for [ -b /dev/nvme0n1 ]
echo "before \$(dd if=/dev/nvme0n1 bs=1M iflag=direct | md5sum)"
dd if=/dev/urandom of=/dev/nvme0n1 bs=1M seek=4 count=4 oflag=direct || exit 1
echo "after \$(dd if=/dev/nvme0n1 bs=1M iflag=direct | md5sum)"
echo 1 > /sys/class/nvme/nvme0/delete_controller
nc 10.1.0.1 9000 < /dev/null
EOF
    initiator=$!
    background=("$target" "$initiator")
    wait "$initiator" || fail "the initiator's status is $?"
    wait "$target" || fail "the target's status is $?"
    background=()
    grep -E '^(before|after) ' "$work/out.target" > "$work/target"
    grep -E '^(before|after) ' "$work/out.initiator" > "$work/initiator"
    diff "$work/target" "$work/initiator" || fail "the two guests do not see the same bytes"
    [[ $(cut -d ' ' -f 2 "$work/target" | sort -u | wc -l) == 2 ]] || fail "the write changed nothing"
    [[ ! -e ${TMPDIR:-/tmp}/nvmeof-cable-$(id -u)-$cable ]] || fail "the cable is left behind"
}

declare -F "case_${1-}" > /dev/null || fail "there is no case '${1-}'"
"case_$1"
