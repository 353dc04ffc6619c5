#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lint.sh [file...]: clang-tidy over the C++ sources, all of them or those named, clang's check of lock rules included
# (common/thread_annotations.h), and shellcheck over the scripts.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install_deps.sh build lint
build=build/lint
# clang-tidy reads the commands of a build; it need not be built, and clang knows none of g++'s own options.
cmake --preset release -B "$build" -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DCCACHE=CCACHE-NOTFOUND > /dev/null
# clang-tidy counts on standard error what it found in the system's headers and does not show.
status=0
if (($#)); then
    files=("$@")
else
    mapfile -t files < <(find src python tests tools examples -name '*.cpp' | sort)
fi
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet \
    2> >(grep -v "warnings\? generated" >&2) || status=1
tests/lint/thread_safety_test.sh "$build" || status=1
find scripts tests .ci -name '*.sh' -print0 | xargs -0 shellcheck -x -P . .ci/run || status=1
shellcheck -s dash scripts/vm/init || status=1
grep -rlZ '^#!/bin/sh' packaging/debian | xargs -0 shellcheck || status=1
((status == 0)) && echo "lint: nothing found" || echo "lint: see above" >&2
exit "$status"
