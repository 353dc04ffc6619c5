#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# one_nqn_test.sh <kernel> <scripts/vm> <fault_kernel_test> <metadata server> <plugin>
#
# Two guests are two hosts: one exports a file, the other another one under the same NQN and with the same identity. What is
# meant for one never reaches the other.
set -euo pipefail
kernel=$1 guest=$2/guest.sh program=$3 server=$4 plugin=$5
readonly kPort=4801 kNode=10.1.0.2 kImpostor=10.1.0.1
work=$(mktemp -d)
impostor=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    [[ -z $impostor ]] || kill "$impostor" 2> /dev/null || : # it has ended
    wait
    rm -rf "$work"
}
trap clean_up EXIT

says() { grep -c "$1" "$work/impostor.log" || :; }

"$guest" -k "$kernel" -t 400 -n "nqn-$$:$kImpostor" -p "$program" -f "$plugin" -e NVMEOF_TEST_ADDRESS=$kImpostor \
    -e NVMEOF_TEST_METADATA=http://$kNode:$kPort/metadata > "$work/impostor.log" 2>&1 << S &
modprobe -a nvmet nvmet-tcp
exec $program --gtest_also_run_disabled_tests --gtest_filter=OneNqn.DISABLED_Impostor
S
impostor=$!
"$guest" -k "$kernel" -t 380 -n "nqn-$$:$kNode" -p "$program" -p "$server" -f "$plugin" -e NVMEOF_TEST_ADDRESS=$kNode \
    -e NVMEOF_TEST_METADATA_PORT=$kPort << S || { cat "$work/impostor.log" && exit 1; }
modprobe -a nvmet nvmet-tcp nvme-tcp
exec $program --gtest_also_run_disabled_tests --gtest_filter=OneNqn.DISABLED_Node
S
seen=$(says 'file untouched')
until (($(says 'file untouched') >= seen + 2)); do
    ((SECONDS < 400)) && kill -0 "$impostor" 2> /dev/null || break
    sleep 0.1
done
if (($(says 'file CHANGED') != 0 || $(says 'file untouched') < seen + 2)); then
    cat "$work/impostor.log"
    echo "FAILED: what was meant for the node reached the impostor, or nobody knows" >&2
    exit 1
fi
echo "the impostor's file is untouched"
