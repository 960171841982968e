#!/bin/sh
# Installs the system packages that the tests and the lab need (packages.txt), and only those that are
# missing. Without apt, or without the right to use it, it says so and leaves the rest to the tests: they
# skip what they cannot do, or fail if CI is set.
set -eu
list=$(dirname "$0")/packages.txt

say() { echo "tests/lab/setup.sh: $*"; }

there() {
    case $1 in # what other packages provide as well
    docker.io) PATH=$PATH:/usr/sbin command -v dockerd >/dev/null && return ;;
    gcc | podman | tmux | curl) command -v "$1" >/dev/null && return ;;
    esac
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "no apt here. The lab needs what these Debian packages hold:" $(cat "$list")
    exit 0
fi

missing=
while read -r package; do
    there "$package" || missing="$missing $package"
done <"$list"
if [ -z "$missing" ]; then
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        say "missing, and only root can install them:$missing"
        exit 0
    fi
fi

say "installing$missing"
if $as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    "apt-get -qq update && apt-get -qq install --no-install-recommends -y $missing" >/dev/null; then
    say "installed$missing"
else
    say "apt could not install them; tests that need them will be skipped, or fail if CI is set"
fi
