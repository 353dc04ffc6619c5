# shellcheck shell=bash disable=SC2154 # vm_cache comes from common.sh
# SPDX-License-Identifier: Apache-2.0
# Network cables between guests. A cable has a name and two ends, each a datagram socket in the file system; a guest
# takes the end that is free and holds it for as long as its QEMU lives, so a guest that died can be started again on the
# same cable: QEMU ends a moment after a guest.sh that was killed, which is waited for. Nothing of this machine's
# network is used. To be sourced after common.sh.

cable_folder() { echo "${TMPDIR:-/tmp}/nvmeof-cable-$(id -u)-$1"; }

# cable_take <name>: sets cable_end and cable_peer to the sockets of this guest's end and the other one.
cable_take() {
    local folder end lock guard tries
    [[ $1 =~ ^[A-Za-z0-9._-]{1,40}$ ]] || vm_die "'$1' is no name for a cable: up to 40 letters, digits, and . _ -"
    folder=$(cable_folder "$1")
    mkdir -p "$vm_cache"
    for ((tries = 0; tries < 50; tries++)); do
        exec {guard}> "$vm_cache/cables.lock"
        flock "$guard"
        mkdir -p "$folder"
        chmod 700 "$folder"
        for end in a b; do
            exec {lock}> "$folder/$end.lock"
            if flock -n "$lock"; then
                # shellcheck disable=SC2034 # results
                cable_end=$folder/$end cable_peer=$folder/$([[ $end == a ]] && echo b || echo a)
                exec {guard}>&-
                return
            fi
            exec {lock}>&-
        done
        exec {guard}>&-
        sleep 0.1
    done
    vm_die "both ends of the cable '$1' are taken; a third guest needs a cable of its own to each of the two"
}

# cable_drop <name> <end>: called when QEMU has ended; the last one removes the cable.
cable_drop() {
    local folder guard
    folder=$(cable_folder "$1")
    exec {guard}> "$vm_cache/cables.lock"
    flock "$guard"
    rm -f "$2" "$2.lock"
    rmdir "$folder" 2> /dev/null || : # the other end is still in use
    exec {guard}>&-
}
