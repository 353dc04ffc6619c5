#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
guest.sh [options] [--] program [arguments]
guest.sh [options] < script

Runs a program, or a script (busybox ash), as root under a stock Debian kernel in QEMU. The guest holds busybox, the
kernel's modules and what is named here, nothing else of this machine. It prints what the program prints.

  -k 6.1|6.12        kernel (6.1)
  -m MiB             memory (1536)
  -c number          processors (2)
  -s                 processors side by side, as on a real machine, for measuring; without KVM one boot in fifty dies
  -t seconds         limit for the whole run (300)
  -p program         put a program and its libraries into the guest, at its own path; may be repeated
  -f file[:place]    put a file, or a plugin and its libraries, into the guest; may be repeated
  -r folder[:place]  put a folder and the libraries of what is in it into the guest; may be repeated
  -D MiB             size of the ext4 file system, which is $NVMEOF_TEST_DIR in the guest (512)
  -d MiB             an empty disk of that size; may be repeated; $NVMEOF_TEST_DISKS in the guest lists them
  -n cable:address   a network interface with this address (10.0.0.1, fd00::1/64), joined with the other guest that
                     names the same cable; may be repeated; the interfaces are eth0, eth1, ...
  -e NAME[=value]    set an environment variable in the guest; GTEST_*, GLOG_*, MC_*, NVMEOF_TEST_* and
                     GLIBC_TUNABLES pass by themselves
  -l file            write the kernel's log there

Exit status: the program's own; 124 when the limit is over; 125 when the guest could not be started, its kernel
panicked, or its kernel reported a defect of its own (BUG, WARNING, oops, hung task) whatever the program returned.
NVMEOF_VM_ACCEL=kvm|tcg decides how processors are run; without it KVM is used where it really works.
U
}
# shellcheck source=scripts/vm/common.sh
source "$(dirname "$0")/common.sh"
# shellcheck source=scripts/vm/pack.sh
source "$(dirname "$0")/pack.sh"
# shellcheck source=scripts/vm/cable.sh
source "$(dirname "$0")/cable.sh"
# shellcheck source=scripts/vm/kernel_log.sh
source "$(dirname "$0")/kernel_log.sh"
export PATH=$PATH:/usr/sbin:/sbin

here=$(dirname "$0")
kernel=6.1 memory=1536 processors=2 limit=300 data_size=512 threads=single log_file=''
programs=() files=() folders=() disk_sizes=() networks=() variables=()
while getopts k:m:c:st:p:f:r:D:d:n:e:l:h option; do
    case $option in
        k) kernel=$OPTARG ;;
        m) memory=$OPTARG ;;
        c) processors=$OPTARG ;;
        s) threads=multi ;;
        t) limit=$OPTARG ;;
        p) programs+=("$OPTARG") ;;
        f) files+=("$OPTARG") ;;
        r) folders+=("$OPTARG") ;;
        D) data_size=$OPTARG ;;
        d) disk_sizes+=("$OPTARG") ;;
        n) networks+=("$OPTARG") ;;
        e) variables+=("$OPTARG") ;;
        l) log_file=$OPTARG ;;
        h) usage && exit ;;
        *) usage >&2 && exit 125 ;;
    esac
done
shift $((OPTIND - 1))
for number in "$memory" "$processors" "$limit" "$data_size" "${disk_sizes[@]}"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || vm_die "'$number' is not a number above 0"
done
vm_need qemu-system-x86_64 qemu-system-x86
vm_need cpio cpio
vm_need mkfs.ext4 e2fsprogs
vm_need setpriv util-linux
vm_need strip binutils

# The run's folder. Its lock is held by this script and its QEMU; a folder without is what a killed run left behind.
run_parent=${TMPDIR:-/tmp}
while read -r stale; do
    flock -n "$stale" rm -rf "$stale" || : # in use
done < <(find "$run_parent" -maxdepth 1 -type d -name 'nvmeof-guest.*' -user "$(id -u)" -mmin +1)
run=$(mktemp -d "$run_parent/nvmeof-guest.XXXXXX")
exec {run_lock}< "$run"
flock "$run_lock"
qemu='' ends=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    if [[ $qemu ]]; then
        kill "$qemu" 2> /dev/null || : # it has ended
        wait "$qemu" 2> /dev/null || : # nobody asks for its status any more
    fi
    local index
    for index in "${!ends[@]}"; do cable_drop "${networks[index]%%:*}" "${ends[index]}"; done
    rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

kernel_folder=$("$here/kernel.sh" "$kernel")
base=$("$here/base_image.sh" "$kernel")
accel=$("$here/accel.sh" "$kernel_folder/image")

# The second part of the initramfs: init, the command, its environment, programs and files.
root=$run/root
pack_begin "$root"
install -m 755 "$here/init" "$root/init"
if (($#)); then
    program=$(type -P -- "$1") || vm_die "there is no program '$1' on this machine"
    pack_program "$root" "$program"
    printf 'exec %s\n' "$(vm_quote "$(realpath -s -- "$program")" "${@:2}")" > "$root/guest/command"
else
    cat > "$root/guest/command"
fi
for program in "${programs[@]}"; do pack_program "$root" "$program"; done
for file in "${files[@]}"; do
    source=$(realpath -s -- "${file%%:*}")
    place=$source
    [[ $file != *:* ]] || place=${file#*:}
    pack_file "$root" "$source" "$place"
done
for folder in "${folders[@]}"; do
    source=$(realpath -s -- "${folder%%:*}")
    place=$source
    [[ $folder != *:* ]] || place=${folder#*:}
    pack_folder "$root" "$source" "$place"
done
# A file that was packed below /data must not disappear under the file system.
test_dir=/data
while [[ -e $root$test_dir ]]; do test_dir+=_; done

# shellcheck disable=SC2054 # the commas are QEMU's
qemu_options=(-nodefaults -no-user-config -m "$memory" -smp "$processors" -display none -no-reboot
    -kernel "$kernel_folder/image" -initrd "$run/initrd"
    -chardev "file,id=console,path=$run/console" -serial chardev:console
    # Without ioeventfd a byte is in the file when the guest's write returns, and none is lost when the guest ends.
    -device virtio-serial-pci,ioeventfd=off
    -chardev "file,id=output,path=$run/output" -device virtserialport,chardev=output,name=output,nr=1
    -chardev "file,id=report,path=$run/report" -device virtserialport,chardev=report,name=report,nr=2
    -device virtio-rng-pci)
clock=''
if [[ $accel == kvm ]]; then
    qemu_options+=(-accel kvm -cpu host)
else
    # All processors in one thread, if not asked otherwise. With a thread for each, QEMU before 8.1 can translate code that
    # another processor is just patching and keep the breakpoint of the patch for ever: about one boot in fifty died of
    # "Oops: int3". For tests it is no slower: two guests run side by side.
    qemu_options+=(-accel "tcg,thread=$threads" -cpu max)
    # The time stamp counter is this machine's and the same for all processors; the kernel's tests of it and of the timer
    # only measure how busy this machine is, and may end in a slow clock or a panic.
    clock='tsc=reliable no_timer_check'
    # Nor does it find out how fast that counts: it was wrong by a factor of 11, and so was each of its seconds. Where a
    # processor has one frequency, it is the counter's.
    if [[ ! -e /sys/devices/system/cpu/cpu0/cpufreq ]]; then
        khz=$(awk '/^cpu MHz/ {printf "%d", $4 * 1000; exit}' /proc/cpuinfo)
        clock+=${khz:+ tsc_early_khz=$khz}
    fi
fi

# add_disk <serial number> <MiB>
add_disk() {
    truncate -s "${2}M" "$run/$1"
    qemu_options+=(-drive "file=$run/$1,format=raw,if=none,id=$1,cache=unsafe,discard=unmap"
        -device "virtio-blk-pci,drive=$1,serial=$1")
}
add_disk data "$data_size"
mkfs.ext4 -q -F -b 4096 -E nodiscard "$run/data" || vm_die "mkfs.ext4 failed"
serials=()
for size in "${disk_sizes[@]}"; do
    serial=disk${#serials[@]}
    add_disk "$serial" "$size"
    serials+=("$serial")
done

: > "$root/guest/network"
for network in "${networks[@]}"; do
    [[ $network == ?*:?* ]] || vm_die "'$network' is not of the form cable:address"
    address=${network#*:}
    [[ $address == */* ]] || address+=$([[ $address == *:* ]] && echo /64 || echo /24)
    mac=$(md5sum <<< "$network" | sed -E 's/^(..)(..)(..)(..).*/52:54:\1:\2:\3:\4/')
    index=${#ends[@]}
    cable_take "${network%%:*}"
    ends+=("$cable_end")
    echo "$mac eth$index $address" >> "$root/guest/network"
    qemu_options+=(-device "virtio-net-pci,netdev=net$index,mac=$mac,romfile="
        -netdev "dgram,id=net$index,local.type=unix,local.path=$cable_end,remote.type=unix,remote.path=$cable_peer")
done

{
    while read -r name; do variables=("$name" "${variables[@]}"); done < <(compgen -e | grep -E '^(GTEST_|GLOG_|MC_|NVMEOF_TEST_|GLIBC_TUNABLES$)')
    variables+=("NVMEOF_TEST_DIR=$test_dir" "GUEST_DISKS=${serials[*]}" "GUEST_SECONDS=$limit")
    for variable in "${variables[@]}"; do
        [[ $variable == *=* ]] || variable+="=${!variable-}"
        [[ $variable =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || vm_die "'$variable' does not name an environment variable"
        printf 'export %s=%s\n' "${variable%%=*}" "$(vm_quote "${variable#*=}")"
    done
} > "$root/guest/environment"
(cd "$root" && find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet) | cat "$base" - > "$run/initrd"
rm -rf "$root"

: > "$run/output"
# Killed together with this script, even if that is by SIGKILL.
setpriv --pdeathsig KILL timeout --foreground --kill-after=2 "$limit" \
    setpriv --pdeathsig KILL qemu-system-x86_64 "${qemu_options[@]}" -append "console=ttyS0 loglevel=5 rdinit=/init \
panic=-1 oops=panic mitigations=off log_buf_len=4M printk.devkmsg=on watchdog_thresh=60 \
rcupdate.rcu_cpu_stall_timeout=120 cryptomgr.notests audit=0 apparmor=0 8250.nr_uarts=1 $clock" \
    < /dev/null > "$run/qemu" 2>&1 &
qemu=$!
tail -n +1 -s 0.05 -f --pid=$qemu "$run/output" &
reader=$!
status=0
wait $qemu || status=$?
qemu=''
wait $reader || : # there is nothing more to read

# Without a report the guest did not come to its end by itself, and the console has the kernel's last words.
if [[ $(tail -n 1 "$run/report" 2> /dev/null) == 'end of report' ]]; then
    read -r _ status < "$run/report"
    sed '1d;$d' "$run/report" > "$run/log"
else
    ((status == 124 || status == 137)) && status=124 || status=125
    tr -d '\r' < "$run/console" > "$run/log"
fi
[[ -z $log_file ]] || cp "$run/log" "$log_file"
if trouble=$(kernel_trouble < "$run/log"); then
    status=125
    vm_say "the guest's kernel $(< "$kernel_folder/version") reports a defect:"
    printf '%s\n' "$trouble" >&2
elif ((status == 124)); then
    vm_say "the limit of $limit s is over; the last lines of the kernel's log:"
    tail -n 20 "$run/log" >&2
elif [[ ! -s $run/report ]]; then
    vm_say "the guest ended too early; QEMU's messages and the last lines of the console:"
    tail -n 20 "$run/qemu" "$run/log" >&2
fi
exit "$status"
