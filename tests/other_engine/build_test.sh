#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build_test.sh <source folder> <cmake> <C++ compiler>
#
# Builds what of the plugin knows the engine against other headers than ours, both ways that docs/mooncake.md gives: with
# TRANSFER_ENGINE_DIR, and as a folder of that engine's tree. The headers in engine/ have the shape of Mooncake's, where it
# differs from ours. What does not know the engine compiles the same everywhere, and is left out.
set -euo pipefail
source=$1 cmake=$2 compiler=$3
here=$source/tests/other_engine
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "build_test: $*" >&2 && exit 1; }

configure() { # configure <source folder> <build folder> [option...]
    "$cmake" -G Ninja -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_COMPILER="$compiler" \
        -DBUILD_TOOLS=OFF "${@:3}" > "$work/log" 2>&1
}

# refused <message> [option...]: configuring fails, and says so.
refused() {
    ! configure "$source" "$work/refused" "${@:2}" || fail "configured with ${*:2}"
    tr -s '\n ' ' ' < "$work/log" | grep -F "$1" > /dev/null || { cat "$work/log" && fail "no message '$1'"; }
    rm -rf "$work/refused"
}
refused "it takes the folder mooncake-transfer-engine of a Mooncake tree" -DTRANSFER_ENGINE_DIR="$work"
cp -r "$here/engine" "$work/without"
sed -i '/registerLocalFile/d' "$work/without/include/transport/transport.h"
refused "The engine in TRANSFER_ENGINE_DIR has no file segments" -DTRANSFER_ENGINE_DIR="$work/without"

# objects <build folder> <source file>...: compiles these alone.
objects() {
    local file names=()
    for file in "${@:2}"; do
        names+=("$("$cmake" --build "$1" -- -t targets all | sed -n "s#^\(.*/$file\.o\):.*#\1#p" | head -n 1)")
        [[ ${names[-1]} ]] || fail "no $file in $1"
    done
    "$cmake" --build "$1" -- "${names[@]}" > "$work/log" 2>&1 || { cat "$work/log" && fail "does not compile"; }
}
configure "$source" "$work/plugin" -DTRANSFER_ENGINE_DIR="$here/engine" || { cat "$work/log" && fail "does not configure"; }
objects "$work/plugin" nvmeof_transport.cpp transport_files.cpp transport_parts.cpp transport_requests.cpp descriptor_check.cpp plugin_entry.cpp

# The engine's part of the contract, for an engine that takes it over.
"$compiler" -std=c++20 -DUSE_NVMEOF_GENERIC -fsyntax-only -isystem "$here/engine/include" -I "$work/plugin/plugin_headers" \
    "$source/src/engine/plugin_loader.cpp"

# The folder pair in the engine's tree, which links its objects.
mkdir -p "$work/tree/src/transport"
cp -r "$here/engine/include" "$work/tree/"
cp "$here/host.cmake" "$work/tree/CMakeLists.txt"
cp -r "$source/include/transport/nvmeof_generic_transport" "$work/tree/include/transport/"
cp "$source/include/transport/"{local_file_options,progress_source}.h "$work/tree/include/transport/"
cp -r "$source/src/transport/nvmeof_generic_transport" "$work/tree/src/transport/"
configure "$work/tree" "$work/drop_in" || { cat "$work/log" && fail "does not configure in the engine's tree"; }
objects "$work/drop_in" descriptor_check.cpp
wanted=$(find "$source/src/transport/nvmeof_generic_transport" -name '*.cpp' ! -name plugin_entry.cpp | wc -l)
built=$("$cmake" --build "$work/drop_in" -- -t targets all | grep -c '\.cpp\.o:')
((built == wanted)) || fail "the engine would link $built of $wanted files"
