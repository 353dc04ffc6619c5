#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# thread_safety_test.sh <build folder, of clang>: whether clang-tidy finds what breaks a lock rule, with the project's settings.
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)/thread_safety.cpp
fail() { echo "thread_safety_test: $*" >&2 && exit 1; }
tidy() { clang-tidy -p "$@" --quiet "$source" 2> /dev/null; }
says=$(tidy "$1") || fail "what is right is refused: $says"
mapfile -t defects < <(sed -n 's/.*defined(\(DEFECT_[A-Z_]*\)).*/\1/p' "$source")
((${#defects[@]})) || fail "no defects to look for"
for defect in "${defects[@]}"; do
    ! says=$(tidy "$1" --extra-arg="-D$defect") || fail "$defect is not found"
    [[ $says == *"error: "*"[clang-diagnostic-thread-safety"* ]] || fail "$defect is refused for another reason: $says"
done
