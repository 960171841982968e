#!/bin/sh
# The tuned environment of shells in a container: paths, compilers, caches, and what is yours.
#
#   . contenv                       load it into this shell; berth install makes ~/.bashrc do so
#   contenv [--dry-run] COMMAND...  run a command with it; --dry-run alone prints what it sets
#   contenv --help
#
# It adds shared/bin, ~/pytorch, CUDA's and ROCm's programs, the Python environment shared/pythonenv/default,
# caches in ~/sharedump, and loads shared/env/*.sh, where your own settings belong. What is set already stays.

_berth_set() { # NAME VALUE
    [ -z "$_berth_dry" ] || printf '%s=%s\n' "$1" "$2"
    export "$1=$2"
}

_berth_unset() { # NAME VALUE: only where it has no value
    eval "_berth_now=\${$1:-}"
    [ -n "$_berth_now" ] || _berth_set "$1" "$2"
}

_berth_front() { # NAME FOLDER: at the front of a list of folders, once
    [ -d "$2" ] || return 0
    eval "_berth_now=\${$1:-}"
    case ":$_berth_now:" in
    *":$2:"*) ;;
    *) _berth_set "$1" "$2${_berth_now:+:$_berth_now}" ;;
    esac
}

_berth_load() {
    for _berth_each in /usr/local/cuda /opt/rocm; do
        _berth_front PATH "$_berth_each/bin"
    done
    [ ! -d /usr/local/cuda ] || _berth_unset CUDA_HOME /usr/local/cuda
    [ ! -d /opt/rocm ] || _berth_unset ROCM_PATH /opt/rocm
    if [ -d "$BERTH_SHARED/pythonenv/default/bin" ] && [ -z "${VIRTUAL_ENV:-}" ]; then
        _berth_set VIRTUAL_ENV "$BERTH_SHARED/pythonenv/default"
        _berth_front PATH "$BERTH_SHARED/pythonenv/default/bin"
    fi
    _berth_front PATH "$BERTH_SHARED/bin"
    _berth_front PYTHONPATH "$HOME/pytorch"
    if [ -d "$HOME/sharedump" ]; then
        _berth_unset HF_HOME "$HOME/sharedump/cache/huggingface"
        _berth_unset TORCH_HOME "$HOME/sharedump/cache/torch"
    fi
    for _berth_each in "$BERTH_SHARED"/env/*.sh; do
        [ -r "$_berth_each" ] || continue
        if [ -n "$_berth_dry" ]; then
            printf '. %s\n' "$_berth_each"
        else
            # shellcheck disable=SC1090
            . "$_berth_each"
        fi
    done
    _berth_set BERTH_ENVIRONMENT tuned
}

_berth_dry=
_berth_run=
case ${0##*/} in
contenv | contenv.sh)
    _berth_run=1
    BERTH_SHARED=${BERTH_SHARED:-$(cd "$(dirname "$0")/.." && pwd)}
    case "${1:-}" in
    -h | --help)
        sed -n '2,9s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --dry-run)
        _berth_dry=1
        shift
        ;;
    "" | -*)
        echo "contenv: name a command to run, or load it with: . $0 (see --help)" >&2
        exit 2
        ;;
    esac
    ;;
esac
export BERTH_SHARED="${BERTH_SHARED:-$HOME/shared}"
_berth_load
if [ -n "$_berth_run" ]; then
    if [ -n "$_berth_dry" ]; then
        [ $# -eq 0 ] || printf '%s\n' "$*"
        exit 0
    fi
    exec "$@"
fi
unset _berth_dry _berth_run _berth_each _berth_now
unset -f _berth_set _berth_unset _berth_front _berth_load
