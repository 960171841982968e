#!/bin/sh
# Build and install Triton at a certain version, from its git repository.
#
#   install_triton [VERSION] [--dir DIR] [--url URL] [--dry-run]
#
# VERSION    a commit, tag or branch; default: what the PyTorch checkout in ~/pytorch is made for
# --dir      where it is checked out (~/triton)
# --url      another repository; default $TRITON_URL, else Triton's own
# --dry-run  print the commands instead of running them
#
# $PYTHON names another Python than python3.
set -eu
url=${TRITON_URL:-https://github.com/triton-lang/triton}
folder=$HOME/triton
python=${PYTHON:-python3}
version=
dry=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --dry-run) dry=1 ;;
    --dir | --url)
        if [ -z "${2:-}" ]; then
            echo "install_triton: $1 needs a value" >&2
            exit 2
        fi
        if [ "$1" = --dir ]; then folder=$2; else url=$2; fi
        shift
        ;;
    -*)
        echo "install_triton: unknown option $1" >&2
        exit 2
        ;;
    *) version=$1 ;;
    esac
    shift
done

run() {
    echo "+ $*"
    [ -n "$dry" ] || "$@"
}

if [ -z "$version" ]; then
    pin=$HOME/pytorch/.ci/docker/ci_commit_pins/triton.txt
    if [ -r "$pin" ]; then version=$(head -n 1 "$pin"); fi
    if [ -z "$version" ]; then
        echo "install_triton: which version? $HOME/pytorch does not say; name a commit, tag or branch" >&2
        exit 2
    fi
    echo "$HOME/pytorch is made for Triton $version"
fi
if [ -e "$folder" ]; then
    if [ -n "$(git -C "$folder" status --porcelain --untracked-files=no)" ]; then
        echo "install_triton: $folder has changes that are not committed: commit or stash them first" >&2
        exit 1
    fi
    run git -C "$folder" fetch --tags --force -- "$url" "+refs/heads/*:refs/remotes/origin/*"
else
    run git clone -- "$url" "$folder"
fi
if git -C "$folder" rev-parse -q --verify "origin/$version" >/dev/null 2>&1; then version=origin/$version; fi
run git -C "$folder" checkout --detach "$version"
run git -C "$folder" submodule update --init --recursive
source=$folder
if [ ! -f "$folder/setup.py" ] && [ ! -f "$folder/pyproject.toml" ] && [ -d "$folder/python" ]; then
    source=$folder/python # before 3.3
fi
run "$python" -m pip uninstall -y triton pytorch-triton pytorch-triton-rocm
run "$python" -m pip install "$source"
[ -n "$dry" ] || (cd / && "$python" -c 'import triton; print("triton", triton.__version__)')
