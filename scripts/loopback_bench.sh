#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
loopback_bench.sh [bench flags]

The main job from end to end: two files are registered, written and then read over NVMe-oF, with every byte verified,
by transfer_engine_nvmeof_generic_bench in loopback mode with a metadata server beside it. Installs and builds what it
needs first, and takes everything away afterwards. Runs on this machine's kernel if that has nvmet and nvme-tcp and we
are root, else in a guest with a stock Debian kernel; it says which.

Flags go to the bench, for example --block_size=4096 --threads=4, or --trtype=rdma, for which a guest gets a soft-RoCE
device. With --operation=read or write only that one is run. From the environment:
  DURATION=seconds                  of each operation (5)
  KERNEL=6.1|6.12                   kernel of the guest (6.1)
  NVMEOF_TEST_KERNEL=native|guest   insists on this machine's kernel, or on a guest
The exit status is the bench's: 0, 1 (usage), 2 (I/O error), 3 (verification); 124 when it hangs; 125 without a kernel.
U
}
case ${1-} in -h | --help) usage && exit ;; esac

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/vm/common.sh
source "$here/vm/common.sh"
# shellcheck source=scripts/vm/native.sh
source "$here/vm/native.sh"

flags=(--duration="${DURATION:-5}" --batch_size=256 --report_unit=MB "$@")
duration=0 operations='write read' rdma=no previous=''
for flag in "${flags[@]}"; do
    case ${flag#-} in
        -mode* | mode* | -files* | files* | -metadata_server* | metadata_server* | -local_server_name* | local_server_name*)
            vm_say "'$flag' is what this script decides; run the bench itself for another set-up"
            exit 1
            ;;
    esac
    # A flag and its value may be one word or two.
    case ${previous#-} in
        -duration | duration | -trtype | trtype | -operation | operation) flag=$previous=$flag ;;
    esac
    case ${flag#-} in
        -duration=* | duration=*) duration=${flag#*=} ;;
        -trtype=rdma | trtype=rdma) rdma=yes ;;
        -operation=* | operation=*) operations=${flag#*=} ;;
    esac
    previous=$flag
done
[[ $duration =~ ^[1-9][0-9]{0,8}$ ]] || { vm_say "the duration '$duration' is not a number of seconds above 0" && exit 1; }

cd "$here/.."
"$here/install_deps.sh"
vm_say "building"
log=$(mktemp)
if ! {
    cmake --preset release && cmake --build --preset release -j "$(nproc)" --target transfer_engine_nvmeof_generic_bench \
        transfer_engine_metadata_server mooncake_transport_nvmeof_generic
} > "$log" 2>&1 < /dev/null; then
    tail -n 100 "$log" >&2
    rm -f "$log"
    vm_say "the build failed"
    exit 1
fi
rm -f "$log"
bin=$PWD/build/release/bin
programs=("$bin/transfer_engine_metadata_server" "$bin/transfer_engine_nvmeof_generic_bench")

why=$(native_obstacle '')
if [[ -z $why ]]; then
    vm_say "on this machine's kernel $(uname -r)"
    # Not /tmp, which is often a tmpfs, without direct I/O.
    exec "$here/loopback_job.sh" "${programs[@]}" "${TMPDIR:-/var/tmp}" "$operations" "${flags[@]}"
fi
[[ ${NVMEOF_TEST_KERNEL-} != native ]] || vm_die "cannot run on this machine's kernel, as NVMEOF_TEST_KERNEL asks: $why"

vm_say "in a guest with the stock kernel ${KERNEL:-6.1} ($why)"
guest_options=(-k "${KERNEL:-6.1}" -t $((300 + 4 * duration)) -f "$here/loopback_job.sh"
    -f "$PWD/build/release/lib/libmooncake_transport_nvmeof_generic.so" -p "${programs[0]}" -p "${programs[1]}")
preparation='modprobe -a nvmet-tcp nvme-tcp'
if [[ $rdma == yes ]]; then
    guest_options+=(-p ip -p rdma)
    preparation='modprobe -a nvmet-rdma nvme-rdma rdma_rxe dummy && ip link add roce0 type dummy &&
        ip addr add 10.0.0.1/24 dev roce0 && ip link set roce0 up && rdma link add rxe0 type rxe netdev roce0'
    flags=(--traddr=10.0.0.1 "${flags[@]}")
fi
exec "$here/vm/guest.sh" "${guest_options[@]}" << E
{ $preparation; } || exit 125
exec sh $(vm_quote "$here/loopback_job.sh" "${programs[@]}") "\$NVMEOF_TEST_DIR" $(vm_quote "$operations" "${flags[@]}")
E
