#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kernel.sh <6.1|6.12>
#
# Prints the folder of a stock Debian kernel that is ready to boot, and downloads it first if need be:
#   image                    the kernel
#   version                  its full version
#   lib/modules/<version>    its modules
# Nothing is installed. The package comes through apt, with apt's own signature check, from the mirror that this
# machine is configured for, or from NVMEOF_DEBIAN_MIRROR (a URL).
set -euo pipefail
# shellcheck source=scripts/vm/common.sh
source "$(dirname "$0")/common.sh"

# Drivers of hardware that no guest has, half of the package.
readonly kUnused=(drivers/gpu drivers/media drivers/net/wireless drivers/net/ethernet drivers/usb drivers/staging
    drivers/iio drivers/hid drivers/input drivers/hwmon drivers/platform drivers/isdn sound)

# apt_archive <label>: the address of a Debian archive that this machine's apt knows, or nothing.
apt_archive() {
    # $(REPO_URI) is apt's own placeholder.
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: $1" 2> /dev/null | head -n 1
}

debian_mirror() {
    local mirror=${NVMEOF_DEBIAN_MIRROR:-$(apt_archive Debian)}
    [[ $mirror ]] || vm_die "apt on this machine knows no Debian mirror; run apt-get update, or name one in NVMEOF_DEBIAN_MIRROR"
    echo "$mirror"
}

# download <release> <work folder>: leaves one .deb in the work folder. apt works on lists of its own there, so neither
# root nor a change to this machine's sources is needed.
download() {
    local release=$1 work=$2 suite=bookworm name mirror fixes keyring=/usr/share/keyrings/debian-archive-keyring.gpg options
    [[ $release == 6.1 ]] || suite=bookworm-backports
    mirror=$(debian_mirror)
    mkdir -p "$work"/{lists,cache/archives}/partial
    [[ -e $keyring ]] && options="[signed-by=$keyring] " || options=
    echo "deb $options$mirror $suite main" > "$work/sources.list"
    if [[ $suite == bookworm ]]; then
        fixes=$(apt_archive Debian-Security)
        [[ -z $fixes ]] || echo "deb $options$fixes bookworm-security main" >> "$work/sources.list"
    fi
    local apt=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)"
        -o Acquire::Retries=3 -o Acquire::Languages=none)

    vm_say "downloading Debian's kernel $release ($suite)"
    apt-get "${apt[@]}" -qq update >&2 || vm_die "apt-get update of $mirror $suite failed"
    name=$(apt-cache "${apt[@]}" depends linux-image-amd64 | awk '/Depends: linux-image-/ {print $2; exit}')
    [[ $name == linux-image-"$release".* ]] || vm_die "$suite at $mirror offers '$name', which is not a kernel $release"
    (cd "$work" && apt-get "${apt[@]}" -qq download "$name" >&2) || vm_die "downloading $name from $mirror failed"
}

# unpack_image <vmlinuz> <image>: the kernel inside a bzImage. Booting that directly (PVH) spares an emulated processor
# seconds of decompression. The fields are those of the kernel's Documentation/arch/x86/boot.rst.
unpack_image() {
    local sectors offset length payload=$2.payload
    sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$1")
    read -r offset length < <(od -An -tu4 -j $((0x248)) -N 8 "$1")
    dd if="$1" of="$payload" bs=1M iflag=skip_bytes,count_bytes status=none \
        skip=$(((sectors + 1) * 512 + offset)) count=$((length - 4))
    case $(od -An -tx1 -N 4 "$payload" | tr -d ' ') in
        fd377a58) xz -dc < "$payload" > "$2" ;;
        28b52ffd) zstd -dcq < "$payload" > "$2" ;;
        *) cp "$1" "$2" ;;
    esac
    rm "$payload"
}

# prepare <release> <folder>
prepare() {
    local release=$1 folder=$2 new=$2.new version
    rm -rf "$new"
    mkdir -p "$new/work"
    download "$release" "$new/work"
    dpkg-deb --fsys-tarfile "$new"/work/*.deb | tar -x -C "$new" --no-same-owner \
        --exclude=./usr "${kUnused[@]/#/--exclude=./lib/modules/*/kernel/}"
    version=$(basename "$new"/lib/modules/*)
    echo "$version" > "$new/version"
    unpack_image "$new/boot/vmlinuz-$version" "$new/image"
    depmod -b "$new" "$version"
    rm -rf "${new:?}"/{work,boot}
    mv "$new" "$folder"
}

export PATH=$PATH:/usr/sbin:/sbin
case ${1-} in
    6.1 | 6.12) ;;
    *) vm_die "'${1-}' is not a kernel of this project; there are 6.1 and 6.12" ;;
esac
[[ $(uname -m) == x86_64 ]] || vm_die "this machine is $(uname -m); the guest is made for x86_64 alone"
folder=$vm_cache/linux-$1
if [[ ! -d $folder ]]; then
    vm_need apt-get apt
    vm_need depmod kmod
    vm_need xz xz-utils
    vm_need zstd zstd
    vm_lock "linux-$1"
    [[ -d $folder ]] || prepare "$1" "$folder"
fi
echo "$folder"
