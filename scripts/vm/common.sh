# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts of this folder share. To be sourced.

# Everything downloaded or prepared once lies here and may be deleted at any time.
vm_cache=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/nvmeof-generic-guest

# The modes of files here are the modes in the guest, where not every process is root.
umask 022

vm_say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }

vm_die() {
    vm_say "$*"
    exit 125
}

# vm_need <program> <package>: stops with the package's name if the program is missing.
vm_need() {
    command -v "$1" > /dev/null || vm_die "the program '$1' is missing; install the package $2 or run scripts/install_deps.sh"
}

# vm_lock <name>: holds the cache's lock of that name until the process ends. Programs started later inherit it.
vm_lock() {
    local fd
    mkdir -p "$vm_cache"
    exec {fd}> "$vm_cache/$1.lock"
    flock "$fd" || vm_die "cannot lock $vm_cache/$1.lock"
}

# vm_quote <words>: prints the words so that any shell reads them back unchanged.
vm_quote() {
    local word
    for word; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}
