#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# accel.sh <kernel image>
#
# Prints what a guest's processors shall run on: "kvm" if a kernel really boots with it, else "tcg" (emulation). The
# presence of /dev/kvm proves nothing: nested virtualisation can hang before the kernel's first message. So it is tried,
# with a time limit, and the answer is kept until this machine boots again. NVMEOF_VM_ACCEL=kvm|tcg decides instead.
set -euo pipefail
# shellcheck source=scripts/vm/common.sh
source "$(dirname "$0")/common.sh"

readonly kProbeSeconds=10

# Without a root file system the kernel panics at the end of its start, and with panic=-1 that ends QEMU.
kvm_boots() {
    [[ -r /dev/kvm && -w /dev/kvm ]] || return 1
    ulimit -c 0
    timeout --kill-after=1 "$kProbeSeconds" qemu-system-x86_64 -nodefaults -no-user-config -accel kvm -cpu host -smp 2 \
        -m 512 -display none -serial stdio -no-reboot -kernel "$1" -append 'console=ttyS0 panic=-1 quiet' \
        < /dev/null 2> /dev/null | grep -a 'Kernel panic' > /dev/null
}

case ${NVMEOF_VM_ACCEL-} in
    kvm | tcg)
        echo "$NVMEOF_VM_ACCEL"
        exit
        ;;
    '') ;;
    *) vm_die "NVMEOF_VM_ACCEL is '$NVMEOF_VM_ACCEL'; it takes kvm or tcg" ;;
esac
answer=$vm_cache/accel-$(< /proc/sys/kernel/random/boot_id)
if [[ ! -s $answer ]]; then
    vm_lock accel
    if [[ ! -s $answer ]]; then
        rm -f "$vm_cache"/accel-*-*
        if kvm_boots "$1"; then echo kvm; else echo tcg; fi > "$answer.new"
        mv "$answer.new" "$answer"
    fi
fi
cat "$answer"
