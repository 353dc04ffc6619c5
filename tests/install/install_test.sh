#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install_test.sh <source folder> <build folder> <cmake> <C compiler> <C++ compiler> <Python, or nothing where its package is not built>
set -euo pipefail
source=$1 build=$2 cmake=$3 cc=$4 cxx=$5 python=$6
work=$(mktemp -d)
# Not in /tmp, which is often a tmpfs, without direct I/O.
pool=$(mktemp -p "$build")
trap 'rm -rf "$work" "$pool"' EXIT
prefix=$work/prefix
die() {
    echo "install_test: $*" >&2
    [[ ! -e $work/log ]] || cat "$work/log" >&2
    exit 1
}
step() { # step <what> <command>
    "${@:2}" > "$work/log" 2>&1 || die "$1 failed"
}

step installation "$cmake" --install "$build" --prefix "$prefix"
# Everything moves with the prefix: nothing of the build folder is needed.
mv "$prefix" "$work/moved"
prefix=$work/moved
for program in sbin/transfer_engine_file_server sbin/transfer_engine_metadata_server sbin/nvmeof_generic_admin \
    bin/transfer_engine_nvmeof_generic_bench sbin/mooncake_file_store; do
    step "$program" "$prefix/$program" --version
    if ldd "$prefix/$program" | grep -F "$build"; then die "$program uses a library of the build folder"; fi
    page=$(find "$prefix/share/man" -name "${program#*/}.[18]")
    [[ $page ]] || die "$program has no manual page"
done
for file in etc/transfer_engine_file_server.conf lib/systemd/system/transfer_engine_file_server.service lib/systemd/system/transfer_engine_metadata_server.service \
    share/man/man5/transfer_engine_file_server.conf.5; do
    [[ -s $prefix/$file ]] || die "$file is missing"
done
find "$prefix" -name libmooncake_transport_nvmeof_generic.so | grep /mooncake/plugins/ > /dev/null || die "the plugin is missing"

# The store in Python: its libraries are the prefix's, and Mooncake's own package would not be touched.
if [[ $python ]]; then
    packages=$(find "$prefix" -type d -path '*-packages/mooncake_files' -printf '%h')
    [[ ! -e $packages/mooncake ]] || die "the installation would replace Mooncake's own package"
    if ldd "$packages"/mooncake_files/_store.*.so | grep -F "$build"; then die "the module uses a library of the build folder"; fi
    truncate -s 32M "$pool"
    cat > "$work/first.py" << P
import mooncake_files
from mooncake_files.store import MooncakeDistributedStore, last_error

assert mooncake_files.__file__.startswith("$packages/"), mooncake_files.__file__
store = MooncakeDistributedStore()
assert store.setup_with_files("localhost", "P2PHANDSHAKE", ["$pool"], master_server_addr="$work/store.db") == 0, last_error()
assert store.put("key", b"value") == 0, last_error()
assert store.get("key") == b"value"
P
    step "the store in Python" env PYTHONPATH="$packages" MC_TRANSPORT_PLUGIN_PATH="$build/lib/libnvmeof_generic_local.so" \
        "$python" "$work/first.py"
    step "the benchmark" env PYTHONPATH="$packages" "$python" "$prefix/share/doc/python3-mooncake-files/examples/stress_cluster_benchmark.py" --help
    step "where Debian's interpreter looks" "$python" - "${packages#"$prefix"/}" << 'P'
import sys

assert "/usr/local/" + sys.argv[1] in sys.path or "dist-packages" not in sys.argv[1], sys.path
P
fi

mkdir "$work/consumer"
cp "$source/examples/file_transfer.c" "$work/consumer"
cat > "$work/consumer/CMakeLists.txt" << 'C'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(TransferEngine 0.1 REQUIRED)
add_executable(consumer file_transfer.c)
target_link_libraries(consumer PRIVATE TransferEngine::transfer_engine)
C
step find_package "$cmake" -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc"
step "the consumer's build" "$cmake" --build "$work/consumer/build"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name transfer_engine.pc)")
export PKG_CONFIG_PATH
read -ra flags <<< "$(pkg-config --cflags --libs transfer_engine)"
step "building with pkg-config" "$cc" -o "$work/consumer/plain" "$work/consumer/file_transfer.c" "${flags[@]}"
library=$(dirname "$(find "$prefix" -name 'libtransfer_engine.so')")
for program in build/consumer plain; do
    status=0
    LD_LIBRARY_PATH=$library "$work/consumer/$program" > "$work/log" 2>&1 || status=$?
    ((status > 0 && status < 126)) || die "$program without arguments gave $status, not its usage"
    grep -qi usage "$work/log" || die "$program does not show its usage"
done

# The store, in C++.
mkdir "$work/store"
cp "$source/tests/install/store_consumer.cpp" "$work/store"
cat > "$work/store/CMakeLists.txt" << 'C'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(MooncakeStore 0.1 REQUIRED)
add_executable(consumer store_consumer.cpp)
target_link_libraries(consumer PRIVATE MooncakeStore::mooncake_store)
C
step "find_package(MooncakeStore)" "$cmake" -S "$work/store" -B "$work/store/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx"
step "the store's consumer's build" "$cmake" --build "$work/store/build"
read -ra flags <<< "$(pkg-config --cflags --libs mooncake_store)"
step "building the store's consumer with pkg-config" "$cxx" -std=c++20 -o "$work/store/plain" "$work/store/store_consumer.cpp" "${flags[@]}"
for program in build/consumer plain; do
    status=0
    LD_LIBRARY_PATH=$library "$work/store/$program" > "$work/log" 2>&1 || status=$?
    ((status > 0 && status < 126)) || die "$program without arguments gave $status, not its usage"
    grep -qi usage "$work/log" || die "$program does not show its usage"
done
