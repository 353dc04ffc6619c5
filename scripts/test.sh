#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
test.sh [--unit | --kernel] [--no-sanitizers] [-R regex] [-h | --help]

Runs every test, and first installs and builds what they need. Safe to repeat.
  --unit             only the tests that run on plain files and folders
  --kernel           only the tests on a real kernel with nvmet, 6.1 and 6.12: on this machine's own where it is one of
                     these and we are root, else in a guest (scripts/vm/run_test.sh)
  --no-sanitizers    not the unit tests once more under AddressSanitizer + UBSan and under ThreadSanitizer
  -R regex           only the tests whose CTest name matches
Exit status: 0 if every test passed and there was one, 1 otherwise, 2 for a wrong option.
The complete output of each phase is in build/log.
U
}

unit=yes kernel=yes sanitizers=yes regex=''
while (($#)); do
    case $1 in
        --unit) kernel=no ;;
        --kernel) unit=no ;;
        --no-sanitizers) sanitizers=no ;;
        -R)
            (($# > 1)) || { usage >&2 && exit 2; }
            regex=$2
            shift
            ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
[[ $unit == yes || $kernel == yes ]] || { echo "test: --unit and --kernel exclude each other" >&2 && exit 2; }

cd "$(dirname "$0")/.."
readonly kLogs=build/log
mkdir -p "$kLogs"
jobs=$(nproc)
waiting=$((4 * jobs)) # unit tests mostly wait
summary=() failed=() executed=0 skipped=0

# phase <name> <command>: runs one step. Its output goes to a file, and here only as much as $show matches, and what is
# behind a failure.
show='\*\*\*'
phase() {
    local name=$1 log=$kLogs/$1.log start=$SECONDS result=ok
    shift
    printf '%s ...\n' "$name"
    if ! "$@" 2>&1 < /dev/null | tee "$log" | awk -v show="$show" '$0 ~ show {print; fflush()}'; then
        result=FAILED
        failed+=("$name")
        grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test .* Passed )' "$log" | tail -n 300
    fi
    summary+=("$(printf '%-16s %-6s %5d s' "$name" "$result" $((SECONDS - start)))")
    echo "${summary[-1]}"
    [[ $result == ok ]]
}

# finish: prints the summary and ends.
finish() {
    local name
    for name in "${failed[@]}"; do
        printf '\n%s: what failed, from %s:\n' "$name" "$kLogs/$name.log"
        # The output of a failing program may be long, and its end says nothing of a case in its middle.
        grep -nE -A 12 ': Failure$|^(WARNING|ERROR|SUMMARY): [A-Za-z]+Sanitizer|Kernel panic|BUG: ' "$kLogs/$name.log" | head -n 120 || :
        grep -nE '\[  FAILED  \]|\*\*\*|\((Failed|Timeout|SEGFAULT|Subprocess aborted)\)' "$kLogs/$name.log" | head -n 40 || :
    done
    printf '\n'
    printf '%s\n' "${summary[@]}"
    local verdict="$executed tests in $((SECONDS / 60)) min $((SECONDS % 60)) s"
    ((skipped == 0)) || verdict+=", $skipped skipped (build/*/*-tests.xml says why)"
    if ((${#failed[@]})); then
        echo "FAILED: ${failed[*]}; $verdict"
        exit 1
    elif ((executed == 0)); then
        echo "FAILED: no test was executed"
        exit 1
    fi
    echo "PASSED: $verdict"
    exit 0
}

# Newer kernels give processes more random addresses than these compilers' ThreadSanitizer knows how to live with.
fixed_addresses=()
! setarch "$(uname -m)" -R true 2> /dev/null || fixed_addresses=(setarch "$(uname -m)" -R)

# build <preset>
# shellcheck disable=SC2317 # called by phase
build() {
    cmake --preset "$1" && "${fixed_addresses[@]}" cmake --build --preset "$1" -j "$jobs"
}

# run_tests <preset> <label> <jobs>: a phase's tests; what is counted is what CTest says that it ran.
# shellcheck disable=SC2317 # called by phase
run_tests() {
    local counts=build/$1/$2-tests.xml options=(--preset "$1" -L "^$2\$" -j "$3" --output-on-failure)
    # The regular expression may mean tests of one phase only.
    if [[ $regex ]]; then options+=(-R "$regex" --no-tests=ignore); else options+=(--no-tests=error); fi
    rm -f "$counts"
    "${fixed_addresses[@]}" ctest "${options[@]}" --output-junit "$PWD/$counts"
}

# count <preset> <label>: adds up what CTest reports of the last run.
count() {
    local file=build/$1/$2-tests.xml all idle
    [[ -e $file ]] || return 0
    all=$(head -n 12 "$file" | grep -oE '\stests="[0-9]+"' | tr -dc 0-9)
    idle=$(head -n 12 "$file" | grep -oE '\s(disabled|skipped)="[0-9]+"' | tr -dc '0-9\n' | paste -sd +)
    skipped=$((skipped + ${idle:-0}))
    executed=$((executed + ${all:-0} - (${idle:-0})))
}

phase packages scripts/install_deps.sh build guest servers || finish
phase format scripts/format.sh --check || : # the tests say more
phase build build release || finish
if [[ $unit == yes ]]; then
    phase unit run_tests release unit "$waiting" || : # counted as failed
    count release unit
fi
if [[ $kernel == yes ]]; then
    # Each test in a guest takes up to 2 GB, and about 0.6 of a processor.
    guests=$(awk -v jobs=$((jobs + jobs / 2)) '/^MemAvailable/ {n = int($2 / 2097152); print n < 1 ? 1 : n < jobs ? n : jobs}' /proc/meminfo)
    show='Test +#' phase kernel run_tests release kernel "$guests" || : # counted as failed
    count release kernel
fi
if [[ $unit == yes && $sanitizers == yes ]]; then
    for preset in asan tsan; do
        phase "build-$preset" build "$preset" || continue
        phase "unit-$preset" run_tests "$preset" unit "$waiting" || : # counted as failed
        count "$preset" unit
    done
fi
finish
