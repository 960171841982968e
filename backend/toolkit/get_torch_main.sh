#!/bin/sh
# Get PyTorch's main branch into ~/pytorch-main, with its submodules, or bring it up to date.
#
#   get_torch_main [--dir DIR] [--url URL] [--branch NAME] [--shallow] [--dry-run]
#
# --dir      another folder
# --url      another repository; default $TORCH_URL, else PyTorch's own
# --branch   another branch (main)
# --shallow  without history
# --dry-run  print the commands instead of running them
#
# A checkout with changes of yours is left as it is, and so is one that cannot be fast-forwarded.
set -eu
url=${TORCH_URL:-https://github.com/pytorch/pytorch}
folder=$HOME/pytorch-main
branch=main
dry=
depth=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '2,12s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --dry-run) dry=1 ;;
    --shallow) depth=--depth=1 ;;
    --dir | --url | --branch)
        if [ -z "${2:-}" ]; then
            echo "get_torch: $1 needs a value" >&2
            exit 2
        fi
        case $1 in
        --dir) folder=$2 ;;
        --url) url=$2 ;;
        --branch) branch=$2 ;;
        esac
        shift
        ;;
    *)
        echo "get_torch: unknown option $1" >&2
        exit 2
        ;;
    esac
    shift
done

run() {
    echo "+ $*"
    [ -n "$dry" ] || "$@"
}

command -v git >/dev/null || {
    echo "get_torch: git is not installed here: berth install CONTEXT git" >&2
    exit 1
}
if [ -e "$folder" ]; then
    if [ -n "$(git -C "$folder" status --porcelain --untracked-files=no --ignore-submodules)" ]; then
        echo "get_torch: $folder has changes that are not committed: commit or stash them first" >&2
        exit 1
    fi
    run git -C "$folder" fetch ${depth:+"$depth"} -- "$url" "$branch"
    run git -C "$folder" merge --ff-only FETCH_HEAD
else
    part=$folder.part-$$
    trap 'rm -rf "$part"' EXIT
    trap 'exit 130' INT TERM HUP
    run git clone ${depth:+"$depth"} --branch "$branch" -- "$url" "$part"
    run mv "$part" "$folder"
fi
run git -C "$folder" submodule sync --recursive
run git -C "$folder" submodule update --init --recursive ${depth:+"$depth"}
[ -n "$dry" ] || echo "$folder is at $(git -C "$folder" log -1 --format='%h %s')"
