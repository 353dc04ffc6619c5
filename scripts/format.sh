#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format.sh [--check]: formats every C++ file of the tree with clang-format, or only says which are not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-format > /dev/null || { echo "format: clang-format is missing; run scripts/install_deps.sh" >&2 && exit 2; }

# each_file <clang-format options>: not through git, which a source archive is without.
each_file() {
    find include src python tests tools examples '(' -name '*.h' -o -name '*.cpp' ')' -print0 | xargs -0 clang-format "$@"
}

case ${1-} in
    '') each_file -i ;;
    --check)
        if ! complaints=$(each_file --dry-run --Werror 2>&1); then
            echo "format: not formatted (scripts/format.sh mends it):"
            grep -oE '^[^ :]+\.(h|cpp):' <<< "$complaints" | sort -u | tr -d : || echo "$complaints"
            exit 1
        fi
        ;;
    *) sed -n '3s/^# //p' "$0" >&2 && exit 2 ;;
esac
