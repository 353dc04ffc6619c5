#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
usage() {
    cat << 'U'
fuzz.sh [seconds] [target...]

Fuzzes what strangers can send (descriptors, addresses, messages of nodes), each target for so many seconds (60 if not
said) under AddressSanitizer and UndefinedBehaviorSanitizer. With clang, by libFuzzer, and the inputs that it finds
interesting stay in build/fuzz/corpus/<target> for the next time; without clang, by the mutations that the unit tests use, with
other seeds.
Targets: address, descriptor, p2p_frame; all if none is named.
Exit status: 0 if nothing was found; else the input is in build/fuzz/crash-*.
U
}

[[ ${1-} != -h && ${1-} != --help ]] || { usage && exit; }
seconds=${1-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { usage >&2 && exit 2; }
targets=("${@:2}")
((${#targets[@]})) || targets=(descriptor address p2p_frame)
cd "$(dirname "$0")/.."
corpus=$PWD/tests/fuzz/corpus
for target in "${targets[@]}"; do
    [[ -d $corpus/$target ]] || { echo "fuzz: there is no target '$target'" >&2 && exit 2; }
done

options=(-S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=Debug -DSANITIZE=address -DBUILD_PERF=OFF -DWARNINGS_AS_ERRORS=OFF)
clang=$(command -v clang++ || command -v clang++-14 || :)
if [[ $clang ]]; then
    options+=(-DCMAKE_CXX_COMPILER="$clang" -DCMAKE_C_COMPILER="${clang/++/}" -DLIBFUZZER=ON)
else
    echo "fuzz: there is no clang here; using the mutations of the unit tests"
fi
cmake "${options[@]}" > /dev/null
cmake --build build/fuzz -j "$(nproc)" --target "${targets[@]/#/fuzz_}"
cd build/fuzz
for target in "${targets[@]}"; do
    echo "fuzz: $target for $seconds s"
    if [[ $clang ]]; then
        mkdir -p "corpus/$target"
        "bin/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -artifact_prefix=crash- \
            -print_final_stats=1 "corpus/$target" "$corpus/$target"
    else
        end=$((SECONDS + seconds))
        for ((seed = RANDOM; SECONDS < end; seed++)); do "bin/fuzz_$target" "$corpus/$target" 20000 "$seed"; done
    fi
done
