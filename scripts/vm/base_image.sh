#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# base_image.sh <6.1|6.12>
#
# Prints a cpio archive that is the first part of every guest's initramfs with that kernel: busybox, the kernel modules
# below with all they depend on, and the few files of /etc that the C library asks for. Made once, then kept. It is not
# compressed: QEMU copies it in no time, while an emulated processor would unpack it at every boot.
set -euo pipefail
# shellcheck source=scripts/vm/common.sh
source "$(dirname "$0")/common.sh"

modules=(
    virtio_pci virtio_console virtio_blk virtio_net virtio_rng ext4 xfs btrfs overlay   # the guest itself
    configfs nvmet nvmet-tcp nvmet-rdma nvme-tcp nvme-rdma rdma_rxe rdma_ucm            # the job
    dummy veth bridge sch_netem sch_ingress cls_u32 act_mirred act_gact act_police      # networks
    brd loop null_blk scsi_debug sd_mod dm-mod dm-flakey dm-delay dm-log-writes         # block devices
    crc32_generic crc32c_generic crc32c_intel crct10dif_generic sha256_generic hmac     # algorithms asked for by name
    inet_diag tcp_diag                                                                  # ss -K
)
case ${1-} in
    6.1) ;;
    6.12) modules+=(nvme-loop nvme-auth dh_generic sha512_generic tls) ;;
    *) vm_die "'${1-}' is not a kernel of this project; there are 6.1 and 6.12" ;;
esac

# module_files <kernel folder> <version>: the files of the modules and of what they depend on, each once.
module_files() {
    local module
    for module in "${modules[@]}"; do
        modprobe -d "$1" -S "$2" --show-depends "$module" || vm_die "kernel $2 has no module $module"
    done | awk '$1 == "insmod" {print $2}' | sort -u
}

# fill <root folder> <kernel folder> <version>
fill() {
    local root=$1 kernel=$2 version=$3 path place file
    mkdir -p "$root"/{dev,proc,sys,run,tmp,root,etc/nvme,var/tmp,usr/{bin,sbin,lib,lib64,local/bin}}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    for path in bin sbin lib lib64; do ln -s "usr/$path" "$root/$path"; done

    install -m 755 "$(command -v busybox)" "$root/usr/bin/busybox"
    "$root/usr/bin/busybox" --list-full | while read -r path; do
        place=$root/usr/$(basename "$(dirname "$path")")/$(basename "$path")
        [[ -e $place ]] || ln -s /usr/bin/busybox "$place"
    done
    printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false > "$root/etc/passwd"
    printf '%s\n' root:x:0: nogroup:x:65534: > "$root/etc/group"
    printf '%s\n' '127.0.0.1 localhost guest' '::1 localhost guest' > "$root/etc/hosts"
    printf '%s\n' 'hosts: files' > "$root/etc/nsswitch.conf"
    ln -s /proc/mounts "$root/etc/mtab"

    module_files "$kernel" "$version" > "$root.modules"
    while read -r file; do
        place=$root/usr${file#"$kernel"}
        mkdir -p "$(dirname "$place")"
        case $file in
            *.xz) xz -dc "$file" > "${place%.xz}" ;;
            *) cp "$file" "$place" ;;
        esac
    done < "$root.modules"
    cp "$kernel/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/$version/"
    depmod -b "$root" "$version"
}

export PATH=$PATH:/usr/sbin:/sbin
vm_need busybox busybox-static
vm_need cpio cpio
vm_need modprobe kmod
kernel=$("$(dirname "$0")/kernel.sh" "$1")
version=$(< "$kernel/version")
# Another list, another kernel or another busybox is another archive.
key=$(cat "$0" "$kernel/version" "$(command -v busybox)" | sha256sum | head -c 12)
image=$vm_cache/base-$1-$key.cpio
if [[ ! -e $image ]]; then
    vm_lock "base-$1"
    if [[ ! -e $image ]]; then
        work=$(mktemp -d "$vm_cache/base.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        mkdir "$work/root"
        fill "$work/root" "$kernel" "$version"
        (cd "$work/root" && find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet) > "$work/image"
        find "$vm_cache" -maxdepth 1 -name "base-$1-*.cpio" -mtime +1 -delete
        mv "$work/image" "$image"
    fi
fi
echo "$image"
