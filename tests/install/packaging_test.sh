#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packaging_test.sh <source folder> <build folder>: what the packages promise of a stop and a removal, without a system to install them on.
set -euo pipefail
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() {
    echo "packaging_test: $*" >&2
    exit 1
}

# The script of the removal, with what it looks at and what it calls below the folder.
mkdir -p "$work/bin" "$work/systemd" "$work/nvmet"
sed "s|/run/systemd/system|$work/systemd|g; s|/sys/kernel/config/nvmet|$work/nvmet|g" "$source/packaging/debian/prerm" > "$work/prerm"
for program in systemctl nvmeof_generic_admin; do
    printf '#!/bin/sh\necho "%s $*" >> "%s/calls"\nexit 1\n' "$program" "$work" > "$work/bin/$program"
    chmod +x "$work/bin/$program"
done
# removes <what prerm is told> <calls that are to be made, in their order>
removes() {
    : > "$work/calls"
    PATH=$work/bin:$PATH sh "$work/prerm" "$1" || die "prerm $1 fails where what it calls does"
    [[ $(< "$work/calls") == "$2" ]] || die "prerm $1 called: $(< "$work/calls")"
}
file_server='systemctl --no-reload disable --now transfer_engine_file_server.service'
metadata_server='systemctl --no-reload disable --now transfer_engine_metadata_server.service'
removes remove "$file_server"$'\n'"nvmeof_generic_admin clean"$'\n'"$metadata_server"
removes upgrade ""
rmdir "$work/systemd"
removes remove "nvmeof_generic_admin clean"

# has <unit> <line>...: the unit has these, and starts nothing that is not built here
has() {
    local unit=$build/$1.service line program
    for line in "${@:2}"; do
        grep -qx -- "$line" "$unit" || die "$1 lacks $line"
    done
    while read -r program; do
        [[ -x $build/bin/$program ]] || die "$1 starts $program, which there is not"
    done < <(sed -n 's|^Exec[A-Za-z]*=/[^ ]*/sbin/\([^ ]*\).*|\1|p' "$unit")
}
has transfer_engine_file_server 'ExecStopPost=/[^ ]*/nvmeof_generic_admin clean' 'ExecReload=/[^ ]*/transfer_engine_file_server --reload' \
    RestartPreventExitStatus=2 TimeoutStopSec=3min LimitCORE=0
has transfer_engine_metadata_server DynamicUser=yes RestartPreventExitStatus=2 LimitCORE=0

perl -e 'our %nrconf; $nrconf{override_rc} = {}; defined do $ARGV[0] or die $@;
    exit !grep { "transfer_engine_file_server.service" =~ $_ && !$nrconf{override_rc}{$_} } keys %{$nrconf{override_rc}}' \
    "$source/packaging/needrestart.conf" || die "needrestart would restart the file server"
