#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
package.sh [--test [--root folder]] [-h | --help]

Builds the Debian packages and the wheel of the Python package, into build/package, and first installs what that needs.
  --test         install them in a Debian 12 without anything else, run every program, build programs of others against
                 them with CMake and with pkg-config, and look for what their removal leaves behind. As root.
  --root folder  the root of that Debian, which is changed; made with debootstrap where it does not exist. Without this
                 option it is made anew in a temporary folder.
Exit status: 0 if all went well, 1 otherwise, 2 for a wrong option.
U
}

die() {
    echo "package: $*" >&2
    exit 1
}

test=no root=''
while (($#)); do
    case $1 in
        --test) test=yes ;;
        --root)
            (($# > 1)) || { usage >&2 && exit 2; }
            root=$2
            shift
            ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
[[ $test == yes || -z $root ]] || { usage >&2 && exit 2; }

cd "$(dirname "$0")/.."
scripts/install_deps.sh build package
rm -rf build/package/*.deb build/package/*.whl build/package/_CPack_Packages
cmake --preset package > /dev/null
cmake --build --preset package -j "$(nproc)"
# Before the packages are stripped and their dependencies found: the libraries of the build, in place of installed ones.
(cd build/package && LD_LIBRARY_PATH=$PWD/lib cpack > cpack.log 2>&1) || {
    cat build/package/cpack.log >&2
    die "cpack failed"
}
# Debian's interpreter, for which the package is, too.
/usr/bin/python3 -m pip wheel --no-index --no-build-isolation --no-deps --wheel-dir build/package . > build/package/wheel.log 2>&1 || {
    cat build/package/wheel.log >&2
    die "the wheel cannot be built"
}
packages=(build/package/*.deb build/package/*.whl)
for package in "${packages[@]}"; do
    printf '%s: %s KiB\n' "$package" "$(($(stat -c %s "$package") / 1024))"
done
[[ $test == yes ]] || exit 0

((EUID == 0)) || die "--test needs root"
if [[ -z $root ]]; then
    root=$(mktemp -d "${TMPDIR:-/var/tmp}/package-root.XXXXXX")
    trap 'rm -rf --one-file-system "$root"' EXIT
fi
if [[ ! -e $root/etc/debian_version ]]; then
    debootstrap --variant=minbase bookworm "$root" > build/package/debootstrap.log ||
        die "debootstrap failed; build/package/debootstrap.log says why"
fi
rm -rf "$root/packages"
mkdir "$root/packages"
cp "${packages[@]}" examples/quickstart.cpp examples/file_transfer.c tests/install/{store_consumer.cpp,node_without_files.py} docs/packages.md \
    scripts/package_test.sh "$root/packages"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Its mounts are its own, and go with it.
# shellcheck disable=SC2016 # expanded by the shell inside
unshare --mount --propagation private bash -euc '
    for folder in proc sys dev; do mount --rbind "/$folder" "$1/$folder"; done
    exec env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$1" bash /packages/package_test.sh' \
    bash "$(realpath "$root")"
rm -rf "$root/packages"
echo "package: the packages work and leave nothing behind"
