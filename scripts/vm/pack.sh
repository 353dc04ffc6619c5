# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Puts programs and files with the libraries they need into a folder that becomes the second part of a guest's
# initramfs. Everything keeps the absolute path that it has here, so that what a program was built to find is found.
# To be sourced after common.sh.

# pack_begin <root folder>: the links of a merged /usr, as in the base image.
pack_begin() {
    mkdir -p "$1"/guest "$1"/usr/{bin,sbin,lib,lib64,local/bin}
    local name
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$1/$name"; done
}

# pack_file <root folder> <file> [place]: one file, with its libraries if it is a program or a library.
pack_file() {
    local root=$1 file=$2 place=${3:-$2} libraries
    [[ -f $file && -r $file ]] || vm_die "cannot read the file '$file'"
    [[ $place == /* ]] || vm_die "the place '$place' of '$file' in the guest is not an absolute path"
    case $place/ in
        /dev/* | /proc/* | /sys/*) vm_die "'$place' would be hidden in the guest; put it in another folder" ;;
    esac
    [[ -e $root$place ]] && return
    if [[ $(od -An -tx1 -N 4 "$file" | tr -d ' ') != 7f454c46 ]]; then
        install -D "$file" "$root$place"
        return
    fi
    # Debugging information is most of a program's size, and the guest's memory is small.
    install -D /dev/null "$root$place"
    strip -g -o "$root$place" "$file" 2> /dev/null || cp "$file" "$root$place"
    libraries=$(ldd "$file" 2> /dev/null) || return 0 # linked statically
    pack_libraries "$root" "$file" "$libraries"
}

# pack_libraries <root folder> <file> <what ldd says of it>
pack_libraries() {
    local root=$1 libraries=$3 library
    [[ $libraries != *'not found'* ]] || vm_die "'$2' needs libraries that are not there:"$'\n'"$(grep 'not found' <<< "$libraries")"
    while read -r library; do
        [[ -e $root$library ]] || install -D "$library" "$root$library"
    done < <(grep -o '/[^ ]*' <<< "$libraries" | sort -u)
}

# pack_folder <root folder> <folder> [place]: all that is in it, and what links in it lead to, with the libraries that its
# shared objects need; what only builds and tests need is left out.
pack_folder() {
    local root=$1 folder=$2 place=${3:-$2} objects
    [[ -d $folder && -r $folder ]] || vm_die "cannot read the folder '$folder'"
    [[ $place == /* ]] || vm_die "the place '$place' of '$folder' in the guest is not an absolute path"
    mkdir -p "$root$place"
    tar -C "$folder" -ch --exclude='*.a' --exclude=tests --exclude=test . | tar -C "$root$place" -x
    mapfile -t objects < <(find -L "$folder" -type f -name '*.so')
    ((${#objects[@]})) || return 0
    pack_libraries "$root" "$folder" "$(ldd "${objects[@]}" 2> /dev/null | grep -v ':$')"
}

# pack_program <root folder> <program>: a program of PATH or of a path; the guest also finds it by its bare name.
pack_program() {
    local root=$1 path
    path=$(type -P -- "$2") || vm_die "there is no program '$2' on this machine"
    path=$(realpath -s -- "$path")
    pack_file "$root" "$path"
    ln -sf "$path" "$root/usr/local/bin/$(basename "$path")"
}
