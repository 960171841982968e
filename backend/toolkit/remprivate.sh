#!/bin/sh
# Shred and remove private things from a container: SSH keys, git identity, tokens.
# remprivate.sh [--dry-run] [-h|--help]
#
# Runs as root on homes of others: links are never followed. What is mounted into the container belongs to the
# host and stays, unless berth put it there (it is listed in .berth-private then). A .gitconfig that berth set
# aside comes back.
set -u
dry=""
case "${1:-}" in
-h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0" 2>/dev/null; exit 0 ;;
--dry-run) dry=1 ;;
"") ;;
*) echo "remprivate: unknown option $1" >&2; exit 2 ;;
esac
failed=0

listed() { # NAME: whether berth put this into $home
    [ -f "$home/.berth-private" ] && [ ! -L "$home/.berth-private" ] &&
        grep -qxF -e "$1" "$home/.berth-private"
}

mounted() { # PATH: whether it is, or is in, something mounted into the container
    while read -r _ _ _ _ point _; do
        point=$(printf '%b' "$point")
        [ "$point" = / ] && continue
        case "$1" in "$point" | "$point"/*) return 0 ;; esac
    done </proc/self/mountinfo
    return 1
}

ours() { # NAME: whether $home/NAME is there and may be removed; says why not
    [ -e "$home/$1" ] || [ -L "$home/$1" ] || return 1
    folder=$(dirname "$home/$1")
    if [ "$(readlink -f "$folder")" != "$folder" ]; then
        echo "left alone, it lies behind a link: $home/$1"
        return 1
    fi
    [ -L "$home/$1" ] || [ -f "$home/$1" ] || return 1
    listed "$1" && return 0
    mounted "$home/$1" || return 0
    echo "left alone, it is mounted: $home/$1"
    return 1
}

destroy() { # NAME
    ours "$1" || return 0
    path=$home/$1
    if [ -n "$dry" ]; then echo "would remove $path"; return 0; fi
    if [ -L "$path" ]; then
        rm -f -- "$path" # only the link: what it leads to may be anybody's
    elif command -v shred >/dev/null 2>&1; then
        shred -u -- "$path" 2>/dev/null || rm -f -- "$path"
    else
        size=$(wc -c <"$path")
        dd if=/dev/zero of="$path" bs=1 count="$size" conv=notrunc 2>/dev/null
        rm -f -- "$path"
    fi
    if [ -e "$path" ] || [ -L "$path" ]; then echo "cannot remove $path" >&2; failed=1; else echo "removed $path"; fi
}

clean() { # HOME
    home=$(readlink -f "$1") || return 0
    [ "$home" = / ] && home=""
    for key in "$home"/.ssh/*; do
        name=.ssh/${key##*/}
        if [ -f "$key" ] && [ ! -L "$key" ] && head -c 8192 "$key" 2>/dev/null | grep -q "PRIVATE KEY"; then
            destroy "$name"
            destroy "$name.pub"
        fi
    done
    if [ -e "$home/.gitconfig.before-berth" ] || [ -L "$home/.gitconfig.before-berth" ]; then
        destroy .gitconfig
        if [ -n "$dry" ]; then
            echo "would put back $home/.gitconfig"
        elif mv -- "$home/.gitconfig.before-berth" "$home/.gitconfig"; then
            echo "put back $home/.gitconfig"
        else
            failed=1
        fi
    else
        destroy .gitconfig
    fi
    for name in .netrc .git-credentials .docker/config.json .aws/credentials .config/gh/hosts.yml; do
        destroy "$name"
    done
    [ -n "$dry" ] || { [ ! -d "$home/.berth-private" ] && rm -f -- "$home/.berth-private"; }
}

clean /root
for each in /home/*; do [ -d "$each" ] && clean "$each"; done
while IFS=: read -r _ _ _ _ _ each _; do
    case $each in /root | /home/*) continue ;; esac
    [ -f "$each/.berth-private" ] && clean "$each"
done </etc/passwd
exit $failed
