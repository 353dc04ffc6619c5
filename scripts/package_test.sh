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

[[ -z $(type -P transfer_engine_file_server || :) ]] || die "the packages are installed here already"
quietly apt-get -qq update
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
# Whatever systemd says, the removal goes on; and the service unexports however it ends.
unit=$(dpkg -L transfer-engine-tools | grep '/transfer_engine_file_server\.service$')
for setting in 'ExecStopPost=.*/nvmeof_generic_admin clean' LimitCORE=0 TimeoutStopSec=3min; do
    grep -q "^$setting\$" "$unit" || die "the unit lacks $setting"
done
for file in /usr/lib/udev/rules.d/{59,61}-nvmeof-generic.rules /etc/needrestart/conf.d/transfer_engine_file_server.conf; do
    [[ -e $file ]] || die "$file is missing"
done
status=0
/usr/lib/udev/nvmeof_generic_loop_id /dev/null || status=$?
((status == 1)) || die "nvmeof_generic_loop_id takes /dev/null for a loop device of ours: $status"
perl -e 'our %nrconf; $nrconf{override_rc} = {}; defined do $ARGV[0] or die $@; exit !grep { "transfer_engine_file_server.service" =~ $_ } keys %{$nrconf{override_rc}}' \
    /etc/needrestart/conf.d/transfer_engine_file_server.conf || die "needrestart would restart the service"
# udev itself reads the rules, and says what it finds wrong with them.
quietly apt-get -qq install --no-install-recommends udev
udevadm test /devices/virtual/mem/null > log 2>&1 || :
grep -q "Reading rules file: .*61-nvmeof-generic.rules" log || die "udev does not read the rules: $(tail -n 20 log)"
! grep -E "nvmeof-generic.rules:[0-9]+" log || die "udev complains about the rules"
echo "unit, udev rules and needrestart: right"

# A directory is made and looked at, without any node.
mooncake_file_store check --directory=/root/store/directory.db > log || die "the store's tool does not work: $(< log)"
grep -q '^warn  no file is served' log || die "the store's tool does not see that there are no files: $(< log)"
[[ $(mooncake_file_store status --json --directory=/root/store/directory.db) == *'"files" : []'* ]] || die "the store's tool gives no JSON"
rm -r /root/store
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
