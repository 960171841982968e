#!/bin/sh
# Choose which PyTorch checkout ~/pytorch means, which is on PYTHONPATH in the tuned environment.
#
#   setpytorch             list the checkouts, the chosen one marked
#   setpytorch NAME        ~/pytorch becomes a link to ~/pytorch-NAME: main, me, ...
#   setpytorch none        no checkout: Python's own installation counts
#
# Options: --dry-run (print what would be done), --help
set -eu
dry=
name=
for each; do
    case $each in
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --dry-run) dry=1 ;;
    -*)
        echo "setpytorch: unknown option $each" >&2
        exit 2
        ;;
    */*)
        echo "setpytorch: $each is a path; give the name behind ~/pytorch-" >&2
        exit 2
        ;;
    *) name=$each ;;
    esac
done

link=$HOME/pytorch
if [ -z "$name" ]; then
    now=$(readlink "$link" 2>/dev/null || true)
    for each in "$HOME"/pytorch-*/; do
        [ -d "$each" ] || continue
        each=${each%/}
        mark=" "
        [ "$now" != "$each" ] || mark="*"
        echo "$mark ${each##*/pytorch-}  $each"
    done
    exit 0
fi
if [ -e "$link" ] && [ ! -L "$link" ]; then
    echo "setpytorch: $link is no link but a folder of its own: rename it to $HOME/pytorch-NAME first" >&2
    exit 1
fi
if [ "$name" = none ]; then
    if [ -n "$dry" ]; then echo "would remove $link"; else rm -f "$link" && echo "$link is gone"; fi
    exit 0
fi
target=$HOME/pytorch-$name
if [ ! -d "$target" ]; then
    echo "setpytorch: there is no $target; get_torch_main and get_torch_me make such" >&2
    exit 1
fi
if [ -n "$dry" ]; then
    echo "would link $link to $target"
    exit 0
fi
ln -s "$target" "$link.$$"
mv -f -T "$link.$$" "$link" 2>/dev/null || { rm -f "$link" && mv -f "$link.$$" "$link"; }
echo "$link is $target"
