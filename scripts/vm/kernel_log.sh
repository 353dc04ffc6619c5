# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# kernel_trouble < log: prints the part of a kernel log where the kernel speaks of a defect of its own, and succeeds if
# there is one. To be sourced.
kernel_trouble() {
    local log line
    log=$(tr -d '\r')
    line=$(grep -anE -m 1 \
        -e 'BUG: |kernel BUG at|WARNING: (CPU: |.* CPU#|possible |suspicious |inconsistent )|Oops: |Kernel panic|general protection fault|divide error:' \
        -e 'Unable to handle kernel|UBSAN: |KASAN: |refcount_t: |list_(add|del) corruption|Call Trace:' \
        -e 'INFO: task .* blocked for more than|INFO: rcu_.* detected stalls|soft lockup|hard LOCKUP' <<< "$log" |
        cut -d : -f 1)
    [[ $line ]] || return 1
    # What led to it stands before it, registers and stack behind it.
    sed -n "$((line > 15 ? line - 15 : 1)),$((line + 70))p" <<< "$log"
}
