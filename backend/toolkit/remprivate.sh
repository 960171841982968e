# Shred and remove private things from a container: SSH keys, git identity, tokens.
# remprivate.sh [--dry-run] [-h|--help]
set -u
dry=""
case "${1:-}" in
-h | --help) sed -n '1,2p' "$0" 2>/dev/null | cut -c3-; exit 0 ;;
--dry-run) dry=1 ;;
"") ;;
*) echo "remprivate: unknown option $1" >&2; exit 2 ;;
esac
failed=0
destroy() {
    [ -f "$1" ] || return 0
    if [ -n "$dry" ]; then echo "would remove $1"; return 0; fi
    if command -v shred >/dev/null 2>&1; then
        shred -u -- "$1" 2>/dev/null || rm -f -- "$1"
    else
        size=$(wc -c <"$1")
        dd if=/dev/zero of="$1" bs=1 count="$size" conv=notrunc 2>/dev/null
        rm -f -- "$1"
    fi
    if [ -e "$1" ]; then echo "cannot remove $1" >&2; failed=1; else echo "removed $1"; fi
}
homes="/root"
for home in /home/*; do [ -d "$home" ] && homes="$homes $home"; done
for home in $homes; do
    for key in "$home"/.ssh/*; do
        [ -f "$key" ] || continue
        if head -c 8192 "$key" 2>/dev/null | grep -q "PRIVATE KEY"; then destroy "$key"; destroy "$key.pub"; fi
    done
    for file in .netrc .git-credentials .gitconfig .docker/config.json .aws/credentials .config/gh/hosts.yml; do
        destroy "$home/$file"
    done
done
exit $failed
