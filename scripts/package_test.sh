#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run by package.sh in a root of its own, with the packages beside it: whether they work there, and nothing is left of them.
set -euo pipefail
cd "$(dirname "$0")"

die() {
    echo "package test: $*" >&2
    exit 1
}
quietly() {
    "$@" > log 2>&1 || {
        tail -n 40 log >&2
        die "failed: $*"
    }
}

# try_python <folder of the package> <interpreter and arguments>: the module and its libraries are there.
try_python() {
    local status=0
    rm -f /root/python.db*
    "${@:2}" /root/python.db > module 2> log || status=$?
    [[ $(< module) == "$1"/* ]] || die "${*:2} has not the package in $1: $(cat module log)"
    # A kernel without the initiator lets the plugin come this far.
    ((status == 0)) || grep -q 'nvmeof_generic: initiator: /dev/nvme-fabrics: ' log || die "${*:2} failed: $(< log)"
}

[[ -z $(type -P transfer_engine_file_server || :) ]] || die "the packages are installed here already"
quietly apt-get -qq update

# The wheel first, on what the page says that it needs, and on nothing of the packages.
wheel=(*.whl)
awk '/^## / {here = $0 == "## A wheel"} here && /^```/ {code = !code; next} here && code' packages.md |
    sed -n '/^apt install/,$p' > wheel_commands
grep -q '^apt install' wheel_commands || die "docs/packages.md does not say how the wheel is installed"
echo 'APT::Get::Assume-Yes "true";' > /etc/apt/apt.conf.d/90package-test
quietly bash -e wheel_commands
rm /etc/apt/apt.conf.d/90package-test
python=$(sed -n 's|/pip install .*|/python|p' wheel_commands)
try_python "${python%/bin/python}/lib" "$python" -m mooncake_files.run node_without_files.py
package=$(dirname "$(< module)")
if ldd "$package"/_store.*.so "$package"/lib/*.so* "$package"/lib/mooncake/plugins/*.so | grep 'not found'; then
    die "the wheel needs what docs/packages.md does not name"
fi
if "$python" -c 'import mooncake' 2> log; then die "the wheel has a package of Mooncake's name"; fi
rm -r "${python%/bin/python}"
echo "${wheel[*]}: works"

mapfile -t names < <(for package in *.deb; do dpkg-deb -f "$package" Package; done)

echo "installation: ${names[*]}"
quietly apt-get -qq install --no-install-recommends ./*.deb
files=$(dpkg -L "${names[@]}" | sort -u | while read -r file; do [[ -d $file ]] || echo "$file"; done)
for program in transfer_engine_file_server nvmeof_generic_admin transfer_engine_metadata_server \
    transfer_engine_nvmeof_generic_bench mooncake_file_store; do
    "$program" --version | grep "[0-9]\.[0-9]" > /dev/null || die "$program --version names none"
    "$program" --help > log 2>&1 || die "$program --help failed"
    grep -q -- '-[a-z]' log || die "$program --help does not help"
    echo "$("$program" --version): runs"
done
status=0
transfer_engine_file_server --check 2> log || status=$?
if ((status != 2)) || ! grep -q segment log; then
    die "the configuration that is installed was not refused: $(< log)"
fi
# The plugin is found, and asks for the kernel's target, which is not there or not configured.
cat > conf << 'C'
segment = 127.0.0.1:0
metadata = P2PHANDSHAKE
traddr = 203.0.113.1
allow_any_host = yes
C
status=0
transfer_engine_file_server --config=conf > log 2>&1 || status=$?
if ((status != 1)) || ! grep -q "cannot serve at trtype=tcp" log || grep -q "no libmooncake_transport" log; then
    die "the daemon did not find its plugin: $(< log)"
fi
echo "configuration and plugin: found"
for file in /usr/lib/udev/rules.d/{59,61}-nvmeof-generic.rules /etc/needrestart/conf.d/transfer_engine_file_server.conf; do
    [[ -e $file ]] || die "$file is missing"
done
status=0
/usr/lib/udev/nvmeof_generic_loop_id /dev/null || status=$?
((status == 1)) || die "nvmeof_generic_loop_id takes /dev/null for a loop device of ours: $status"
# udev itself reads the rules, and says what it finds wrong with them.
quietly apt-get -qq install --no-install-recommends udev
udevadm test /devices/virtual/mem/null > log 2>&1 || :
grep -q "Reading rules file: .*61-nvmeof-generic.rules" log || die "udev does not read the rules: $(tail -n 20 log)"
! grep -E "nvmeof-generic.rules:[0-9]+" log || die "udev complains about the rules"
echo "udev rules: right"

# The store in Python, and mooncake.store where nobody else has one.
cp node_without_files.py /tmp
folder=/usr/lib/python3/dist-packages
try_python $folder python3 /tmp/node_without_files.py
try_python $folder python3 -m mooncake_files.run /tmp/node_without_files.py
quietly /usr/share/doc/python3-mooncake-files/examples/stress_cluster_benchmark.py --help
other=$(python3 -c 'import site; print(site.getsitepackages()[0])')/mooncake
mkdir -p "$other"
touch "$other/__init__.py"
echo 'print("of pip")' > "$other/store.py"
[[ $(python3 -c 'import mooncake.store') == "of pip" ]] || die "the package takes the place of a Mooncake that pip has installed"
try_python $folder python3 -m mooncake_files.run /tmp/node_without_files.py
rm -r "$other" /tmp/node_without_files.py
echo "the store in Python: works"

# The tool looks at the directory that the last of these has made, and makes none.
mooncake_file_store check --directory=/root/python.db > log || die "the store's tool does not work: $(< log)"
grep -q '^warn  no file is served' log || die "the store's tool does not see that there are no files: $(< log)"
[[ $(mooncake_file_store status --json --directory=/root/python.db) == *'"files" : []'* ]] || die "the store's tool gives no JSON"
rm /root/python.db*
status=0
mooncake_file_store check --directory=/root/python.db > log 2>&1 || status=$?
if ((status != 1)) || [[ -e /root/python.db ]] || ! grep -q 'no directory of a store' log; then
    die "the store's tool finds a directory that is not there: $(< log)"
fi
echo "the store's tool: works"

# The metadata server serves as its unit starts it, and the unit is one that systemd takes.
unit=/lib/systemd/system/transfer_engine_metadata_server.service
[[ -f $unit ]] || die "there is no $unit"
if [[ -n $(type -P systemd-analyze || :) ]]; then
    quietly systemd-analyze --man=no verify "$unit"
fi
[[ $(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit") == "$(type -P transfer_engine_metadata_server)" ]] ||
    die "the metadata server's unit starts another program"
grep -q '^DynamicUser=yes' "$unit" || die "the metadata server has no user of its own"
(umask 077 && echo 0123456789abcdef > tokens)
transfer_engine_metadata_server --port=0 --token_file=tokens > log 2>&1 &
server=$!
for ((i = 0; i < 100; i++)); do ! grep -q '^listening on http://127.0.0.1:' log || break && sleep 0.1; done
kill "$server"
wait "$server" || die "the metadata server failed: $(< log)"
grep -q '^listening on http://127.0.0.1:' log || die "the metadata server does not listen: $(< log)"
echo "metadata server: serves, and ends when it is told to"

quietly apt-get -qq install --no-install-recommends g++ cmake make pkg-config
mkdir project
mv quickstart.cpp store_consumer.cpp file_transfer.c project
cat > project/CMakeLists.txt << 'C'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(TransferEngine 0.1 REQUIRED)
add_executable(quickstart quickstart.cpp)
target_link_libraries(quickstart PRIVATE TransferEngine::transfer_engine)
find_package(MooncakeStore 0.1 REQUIRED)
add_executable(store_consumer store_consumer.cpp)
target_link_libraries(store_consumer PRIVATE MooncakeStore::mooncake_store)
C
quietly cmake -S project -B project/build
quietly cmake --build project/build
# shellcheck disable=SC2046 # words, each an argument
quietly g++ -std=c++20 -o project/with_pkg_config project/quickstart.cpp $(pkg-config --cflags --libs transfer_engine)
# shellcheck disable=SC2046
quietly g++ -std=c++20 -o project/store_with_pkg_config project/store_consumer.cpp $(pkg-config --cflags --libs mooncake_store)
# shellcheck disable=SC2046
quietly gcc -std=c11 -o project/in_c project/file_transfer.c $(pkg-config --cflags --libs transfer_engine)
for program in project/build/store_consumer project/store_with_pkg_config; do
    ldd "$program" | grep 'libmooncake_store\.so\.[0-9]* => /' > /dev/null || die "$program lacks the store's library"
done
for program in project/build/quickstart project/with_pkg_config project/in_c project/build/store_consumer project/store_with_pkg_config; do
    ldd "$program" | grep 'libtransfer_engine\.so\.[0-9]* => /' > /dev/null || die "$program lacks its library"
    status=0
    "$program" > log 2>&1 || status=$?
    ((status > 0 && status < 126)) || die "$program without arguments gave $status, not its usage: $(< log)"
done
echo "consumers with CMake, pkg-config and in C: build and run"

# prerm with a systemctl that fails, as where a process hangs in the kernel.
mkdir -p /run/systemd/system
printf '#!/bin/sh\nexit 1\n' > /usr/local/bin/systemctl
chmod +x /usr/local/bin/systemctl
bash -c 'PATH=/usr/local/bin:$PATH exec "$1" remove' _ /var/lib/dpkg/info/transfer-engine-tools.prerm > log 2>&1 ||
    die "the removal of the package fails where systemctl does: $(< log)"
rm /usr/local/bin/systemctl
rmdir /run/systemd/system

# A configuration that somebody has changed stays until the package is purged.
echo "segment = mine" >> /etc/transfer_engine_file_server.conf
quietly apt-get -qq remove "${names[@]}"
[[ -e /etc/transfer_engine_file_server.conf ]] || die "the removal took the configuration with it"
quietly dpkg --purge "${names[@]}" # apt knows only those that left a configuration
left=$(while read -r file; do [[ ! -e $file ]] || echo "$file"; done <<< "$files")
left+=$(dpkg-query -W -f '${Package}\n' "${names[@]}" 2> /dev/null || :)
left+=$(find /etc /usr /var/lib -xdev \( -name '*transfer_engine*' -o -name '*transfer-engine*' -o -name '*nvmeof_generic*' -o -name '*mooncake*' \) 2> /dev/null)
[[ -z $left ]] || die "left behind: $left"
echo "purged: nothing is left"
