#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# two_guests_test.sh <source folder> <build folder> <interpreter> [options of guest.sh]
#
# Prefill and decode as documented, in two guests, which are two hosts, with files on both: over TCP, then over RDMA
# (soft RoCE). Each time prefill's host loses its power while decode reads.
set -euo pipefail
source=$1 build=$2 python=$3
shift 3
guest=$source/scripts/vm/guest.sh program=$source/tests/kernel/python/two_guests.py
readonly kNear=10.1.0.2 kFar=10.1.0.1
options=(-p "$python" -p truncate -f "$program" -e PYTHONPATH="$build/python" -e PYTHONDONTWRITEBYTECODE=1 "$@")
setup='modprobe -a nvmet nvmet-tcp nvme-tcp rdma_rxe nvme-rdma nvmet-rdma && rdma link add rxe_eth0 type rxe netdev eth0 || exit'
work=$(mktemp -d)
near='' far=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    [[ -z $near ]] || kill "$near" 2> /dev/null || : # it has ended
    [[ -z $far ]] || kill "$far" 2> /dev/null || :   # likewise
    wait
    rm -rf "$work"
}
trap clean_up EXIT

cuts() { grep -c '^cut the power$' "$work/near.log" || :; }

# boot_far <number of the cut to wait for>: prefill's host, until its power is cut. Returns 1 if a guest ended before.
boot_far() {
    "$guest" -k 6.1 -t 300 -n "python-$$:$kFar" "${options[@]}" >> "$work/far.log" 2>&1 << S &
$setup
exec $python $program far $kFar
S
    far=$!
    until (($(cuts) == $1)); do
        kill -0 "$near" 2> /dev/null && kill -0 "$far" 2> /dev/null || return 1
        sleep 0.1
    done
    kill -KILL "$far"
    wait "$far" 2> /dev/null || : # killed
    far=''
}

"$guest" -k 6.12 -t 300 -n "python-$$:$kNear" -p etcd "${options[@]}" > "$work/near.log" 2>&1 << S &
$setup
etcd --data-dir="\$NVMEOF_TEST_DIR/etcd" --listen-client-urls=http://$kNear:2379 --advertise-client-urls=http://$kNear:2379 \
    --logger=zap --log-level=error &
for trtype in tcp rdma; do $python $program near $kNear $kFar \$trtype $source || exit; done
S
near=$!
status=0
if ! { boot_far 1 && boot_far 2; }; then
    kill "$near" 2> /dev/null || : # it has ended
fi
wait "$near" || status=$?
near=''
grep -E '^[0-9]+ of |^decode went on' "$work/near.log" || :
if ((status != 0 || $(grep -c '^decode went on' "$work/near.log") != 2)); then
    tail -n 100 "$work"/*.log >&2
    exit 1
fi
