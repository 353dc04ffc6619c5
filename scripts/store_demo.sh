#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
store_demo.sh [-b build folder]

The object store on two nodes: each gives a file, objects are put and got over NVMe/TCP and compared, one node is killed,
what is still there is shown, and the node comes back with what it had. The nodes are processes on one kernel: this
machine's if that has nvmet and nvme-tcp and we are root, else that of a guest with a stock Debian kernel; it says which.
Installs and builds what it needs first, but with -b takes what is there. Takes everything away afterwards.
From the environment:
  KERNEL=6.1|6.12                   kernel of the guest (6.12)
  NVMEOF_TEST_KERNEL=native|guest   insists on this machine's kernel, or on a guest
Exit status: 0, 1 where an object is not what it must be, 124 when it hangs, 125 without a kernel.
U
}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/vm/common.sh
source "$here/vm/common.sh"
# shellcheck source=scripts/vm/native.sh
source "$here/vm/native.sh"

build=''
while getopts b:h option; do
    case $option in
        b) build=$(realpath "$OPTARG") ;;
        h) usage && exit ;;
        *) usage >&2 && exit 1 ;;
    esac
done
cd "$here/.."
if [[ -z $build ]]; then
    build=$PWD/build/release
    "$here/install_deps.sh" build guest
    vm_say "building"
    log=$(mktemp)
    if ! {
        cmake --preset release && cmake --build --preset release -j "$(nproc)" --target store_node mooncake_file_store \
            mooncake_transport_nvmeof_generic
    } > "$log" 2>&1 < /dev/null; then
        tail -n 100 "$log" >&2
        rm -f "$log"
        vm_say "the build failed"
        exit 1
    fi
    rm -f "$log"
fi
programs=("$build/bin/store_node" "$build/bin/mooncake_file_store")

why=$(native_obstacle '')
if [[ -z $why ]]; then
    vm_say "on this machine's kernel $(uname -r)"
    exec "$here/store_demo_job.sh" "${programs[@]}" "${TMPDIR:-/var/tmp}"
fi
[[ ${NVMEOF_TEST_KERNEL-} != native ]] || vm_die "cannot run on this machine's kernel, as NVMEOF_TEST_KERNEL asks: $why"
vm_say "in a guest with the stock kernel ${KERNEL:-6.12} ($why)"
exec "$here/vm/guest.sh" -k "${KERNEL:-6.12}" -f "$here/store_demo_job.sh" \
    -f "$build/lib/libmooncake_transport_nvmeof_generic.so" -p "${programs[0]}" -p "${programs[1]}" << E
modprobe -a nvmet-tcp nvme-tcp || exit 125
exec sh $(vm_quote "$here/store_demo_job.sh" "${programs[@]}") "\$NVMEOF_TEST_DIR"
E
