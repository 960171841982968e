#!/bin/sh
# Get your own PyTorch into ~/pytorch-me, with its submodules, or bring it up to date.
#
#   get_torch_me [--url URL] [--branch NAME] [--dir DIR] [--shallow] [--dry-run]
#
# The repository is --url, else $TORCH_ME_URL, else what you once set with
#   git config --global berth.torch https://github.com/YOU/pytorch
# Everything else is as with get_torch_main, which has to lie beside this script.
set -eu
url=${TORCH_ME_URL:-$(git config --get berth.torch 2>/dev/null || true)}
for each; do
    case $each in
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --url) url=given ;;
    esac
done
if [ -z "$url" ]; then
    echo "get_torch_me: which repository? Say --url URL, or: git config --global berth.torch URL" >&2
    exit 2
fi
[ "$url" = given ] || set -- --url "$url" "$@"
exec "$(dirname "$0")/get_torch_main" --dir "$HOME/pytorch-me" "$@"
