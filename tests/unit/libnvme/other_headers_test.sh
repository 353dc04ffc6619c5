#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# other_headers_test.sh <source folder> <compiler>
#
# Compiles the one file that knows libnvme against the headers of another release of it, Debian 13's, beside those of
# Debian 12 that the build uses. The package comes through apt with apt's signature check, into a cache; nothing is
# installed. Exit status 77 when it cannot be fetched.
set -euo pipefail
source=$1 compiler=$2
readonly kSuite=trixie
# shellcheck source=scripts/vm/common.sh
source "$source/scripts/vm/common.sh"
folder=$vm_cache/libnvme-$kSuite

# fetch: leaves the headers in $folder/usr/include.
fetch() {
    local new=$folder.new mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=
    rm -rf "$new"
    mkdir -p "$new"/work/{lists,cache/archives}/partial
    # shellcheck disable=SC2016 # $(REPO_URI) is apt's own placeholder
    mirror=${NVMEOF_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: Debian" 2> /dev/null | head -n 1)}
    [[ $mirror ]] || return 1
    [[ ! -e $keyring ]] || options="[signed-by=$keyring] "
    echo "deb $options$mirror $kSuite main" > "$new/work/sources.list"
    local apt=(-o "Dir::Etc::SourceList=$new/work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$new/work/lists" -o "Dir::Cache=$new/work/cache" -o "APT::Sandbox::User=$(id -un)"
        -o Acquire::Retries=2 -o Acquire::Languages=none)
    apt-get "${apt[@]}" -qq update && (cd "$new/work" && apt-get "${apt[@]}" -qq download "libnvme-dev/$kSuite") || return 1
    dpkg-deb -x "$new"/work/*.deb "$new" && dpkg-deb -f "$new"/work/*.deb Version > "$new/version"
    rm -rf "$new/work" "$folder"
    mv "$new" "$folder"
}

vm_lock libnvme
if [[ ! -d $folder ]] && ! fetch; then
    echo "libnvme-dev of $kSuite cannot be fetched"
    exit 77
fi
echo "libnvme $(< "$folder/version")"
# The headers of the other release come first; those that the build uses are not found then.
"$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Werror -H -I "$source/src" \
    -isystem "$folder/usr/include" \
    "$source/src/transport/nvmeof_generic_transport/initiator/libnvme_fabrics.cpp" 2> "$folder/headers.$$" || {
    grep -vE '^\.+ ' "$folder/headers.$$" >&2
    rm -f "$folder/headers.$$"
    exit 1
}
found=$(grep -cE '^\.+ '"$folder"'/usr/include/libnvme\.h' "$folder/headers.$$" || :)
rm -f "$folder/headers.$$"
[[ $found == 1 ]] || { echo "the headers of the other release were not used" && exit 1; }
