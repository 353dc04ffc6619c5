#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# installed_test.sh <source folder> <build folder> <kernel> <cmake> <C compiler> <C++ compiler>
#
# Installs the build into a folder of its own and builds two programs outside of the tree with nothing but what is there: in
# C++ by find_package, in C by pkg-config. On a real kernel each moves a file's bytes with the plugin of that folder, which its
# engine has to find by itself, and looks at them in the file.
set -euo pipefail
source=$1 build=$2 kernel=$3 cmake=$4 cc=$5 cxx=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
step() { # step <what> <command>: its output only where it fails
    "${@:2}" > "$work/log" 2>&1 || { cat "$work/log" && echo "installed_test: $1" >&2 && exit 1; }
}
step "installing" "$cmake" --install "$build" --prefix "$prefix"

# Copies, so that nothing of the tree is found beside them.
cp -r "$source/tests/consumer/cmake" "$source/tests/consumer/pkg-config" "$work/"
step "find_package" "$cmake" -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror"
step "building with find_package" "$cmake" --build "$work/cmake/build"
pc=$(find "$prefix" -name transfer_engine.pc)
step "building with pkg-config" env PKG_CONFIG_PATH="$(dirname "$pc")" make -C "$work/pkg-config" CC="$cc" OUTPUT="$work/move_bytes_c"

programs=("$work/cmake/build/move_bytes" "$work/move_bytes_c")
for program in "${programs[@]}"; do
    ldd "$program" | grep -F "$prefix" > /dev/null || { echo "installed_test: $program has another engine" && ldd "$program" && exit 1; }
done
plugin=$(find "$prefix" -name libmooncake_transport_nvmeof_generic.so)
unset MC_TRANSPORT_PLUGIN_PATH
"$source/scripts/vm/run_test.sh" -k "$kernel" -t 120 -p "${programs[0]}" -p "${programs[1]}" -f "$plugin" \
    "$source/tests/consumer/move_bytes.sh" "${programs[@]}" > "$work/log" 2>&1 || { cat "$work/log" && exit 1; }
for language in C++ C; do
    grep -q "^$language: moved" "$work/log" || { cat "$work/log" && echo "installed_test: nothing moved in $language" && exit 1; }
done
