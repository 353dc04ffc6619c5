#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
install_deps.sh [build] [guest] [servers] [package] [perf] [lint]

Installs the Debian packages that the project needs, "build" and "guest" if none is named:
  build    to build it, its tests and its examples
  guest    to run it on a stock kernel in QEMU where this machine's own has no nvmet
  servers  for scripts/test.sh: etcd and Redis, of which the tests start their own (Debian starts a service of each too),
           and openssl for their certificates
  package  for scripts/package.sh
  perf     for scripts/compare_with_fio.sh
  lint     for scripts/lint.sh
As root, or through sudo. Does nothing where everything is installed already.
U
}

build=(
    build-essential cmake ninja-build pkg-config ccache git clang-format
    libgoogle-glog-dev libgflags-dev libjsoncpp-dev libcurl4-openssl-dev libcpp-httplib-dev libssl-dev zlib1g-dev
    libhiredis-dev
    libnvme-dev libjson-c-dev libaio-dev uuid-dev
    libexpected-dev libxxhash-dev libblkid-dev libsqlite3-dev libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
    python3-dev pybind11-dev libnuma-dev python3-numpy python3-pytest python3-yaml
    libgtest-dev libgmock-dev libbenchmark-dev
    curl iproute2 kmod util-linux
)
guest=(qemu-system-x86 busybox-static cpio dmsetup e2fsprogs xfsprogs btrfs-progs xz-utils zstd binutils)
servers=(etcd-server redis-server openssl)
package=(dpkg-dev debootstrap python3-pip python3-setuptools python3-wheel)
perf=(fio python3 python3-matplotlib)
lint=(clang clang-tidy shellcheck)

groups=("$@")
((${#groups[@]})) || groups=(build guest)
packages=()
for group in "${groups[@]}"; do
    case $group in
        build) packages+=("${build[@]}") ;;
        guest) packages+=("${guest[@]}") ;;
        servers) packages+=("${servers[@]}") ;;
        package) packages+=("${package[@]}") ;;
        perf) packages+=("${perf[@]}") ;;
        lint) packages+=("${lint[@]}") ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
done

die() {
    echo "install_deps: $*" >&2
    exit 1
}

# missing: those of the packages that are not installed.
missing() {
    # A name that dpkg does not know makes it return 1; it is missing then.
    { dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2> /dev/null || :; } |
        awk '$2 == "installed" {print $1}' | sort -u | comm -13 - <(printf '%s\n' "${packages[@]}" | sort -u)
}

command -v dpkg-query > /dev/null || die "this is not Debian; the packages to install here are those in this script, under other names"
mapfile -t wanted < <(missing)
((${#wanted[@]})) || exit 0
as_root=()
if ((EUID != 0)); then
    command -v sudo > /dev/null || die "these packages are missing; install them as root: ${wanted[*]}"
    as_root=(sudo)
fi
echo "install_deps: installing ${wanted[*]}"
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@" < /dev/null
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# apt waits for dpkg's lock by itself, but not for the one on its lists.
for ((attempt = 1; ; attempt++)); do
    apt update > "$log" 2>&1 && break
    if ! grep -q 'Could not get lock' "$log" || ((attempt == 60)); then
        # One archive of several may be out of reach, and not be the one that is needed.
        cat "$log" >&2
        break
    fi
    sleep 5
done
# Debian starts the metadata servers with their installation; here the tests start their own.
idle=()
if [[ -d /run/systemd/system ]]; then
    for service in etcd redis-server; do
        # etcd's package is called etcd-server.
        [[ " ${wanted[*]} " != *" $service"[\ -]* ]] || idle+=("$service")
    done
fi
((${#idle[@]} == 0)) || "${as_root[@]}" systemctl -q mask "${idle[@]}"
installed=yes
apt install --no-install-recommends "${wanted[@]}" > "$log" 2>&1 || installed=no
if ((${#idle[@]})); then
    "${as_root[@]}" systemctl -q unmask "${idle[@]}"
    "${as_root[@]}" systemctl -q disable "${idle[@]}" 2> /dev/null || : # it says more than it has to
fi
[[ $installed == yes ]] || {
    tail -n 40 "$log" >&2
    die "apt-get could not install: ${wanted[*]}"
}
mapfile -t wanted < <(missing)
((${#wanted[@]} == 0)) || die "these packages are still missing: ${wanted[*]}"
