#!/bin/sh
# Clean a container that is about to become an image: caches, histories, private things.
# Runs as root inside a temporary container: clean_image.sh [--keep-private]
set -u
remove() { for each in "$@"; do [ -e "$each" ] || [ -L "$each" ] || continue; rm -rf -- "$each" && echo "removed $each"; done; }
homes="/root"
for home in /home/*; do [ -d "$home" ] && homes="$homes $home"; done
for home in $homes; do
    remove "$home/.cache" "$home/.bash_history" "$home/.zsh_history" "$home/.python_history" "$home/.lesshst" \
        "$home/.viminfo" "$home/.wget-hsts" "$home/.local/share/Trash" "$home/.npm" "$home/.jupyter/lab/workspaces"
    [ "${1:-}" = "--keep-private" ] && continue
    remove "$home/.netrc" "$home/.git-credentials" "$home/.gitconfig" "$home/.gitconfig.before-berth" \
        "$home/.berth-private" "$home/.docker/config.json" \
        "$home/.aws/credentials" "$home/.config/gh" "$home/.gnupg" "$home/.huggingface/token"
    for key in "$home"/.ssh/*; do
        [ -f "$key" ] || continue
        case "$key" in *.pub | */authorized_keys | */config | */known_hosts*) ;; *) remove "$key" "$key.pub" ;; esac
    done
done
for each in /tmp/* /tmp/.[!.]* /var/tmp/* /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /var/cache/dnf/* \
    /var/cache/yum/* /var/cache/apk/*; do remove "$each"; done
if command -v conda >/dev/null 2>&1; then conda clean -afy >/dev/null 2>&1 && echo "cleaned conda"; fi
exit 0
