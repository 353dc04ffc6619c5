# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# native_obstacle [kernel version]: prints why this machine's own kernel cannot serve for nvmet and nvme-tcp, or nothing
# if it can, with its modules loaded. With a version (6.1) the kernel must be of it, unless NVMEOF_TEST_KERNEL is
# "native". NVMEOF_TEST_KERNEL=guest is an obstacle of its own. To be sourced after
# common.sh.
case ${NVMEOF_TEST_KERNEL-} in
    '' | native | guest) ;;
    *) vm_die "NVMEOF_TEST_KERNEL is '$NVMEOF_TEST_KERNEL'; it takes native or guest" ;;
esac

native_obstacle() {
    local wanted=${NVMEOF_TEST_KERNEL-} module release
    release=$(uname -r)
    if [[ $wanted == guest ]]; then
        echo "NVMEOF_TEST_KERNEL is guest"
    elif [[ ${1-} && $wanted != native && $release != "$1".* ]]; then
        echo "this machine's kernel is $release"
    elif ((EUID != 0)); then
        echo "only root may use this machine's kernel $release"
    else
        for module in configfs nvmet nvmet-tcp nvme-tcp; do
            [[ -d /sys/module/${module//-/_} ]] || modprobe -q "$module" 2> /dev/null || {
                echo "this machine's kernel $release has no $module"
                return
            }
        done
        if ! mountpoint -q /sys/kernel/config && ! mount -t configfs none /sys/kernel/config 2> /dev/null; then
            echo "configfs cannot be mounted on this machine"
        elif [[ ! -d /sys/kernel/config/nvmet || ! -w /dev/nvme-fabrics ]]; then
            echo "/sys/kernel/config/nvmet or /dev/nvme-fabrics cannot be used on this machine"
        fi
    fi
}
