#!/bin/sh
# Install NumPy 1 for what was built against it, and versions of its friends that go with it.
#
#   install_numpy1 [PACKAGE...] [--dry-run]
#
# PACKAGE    friends; default: those of scipy, pandas, matplotlib, scikit-learn, numba that are installed
# --dry-run  print the commands instead of running them
#
# $PYTHON names another Python than python3; pip's own variables (PIP_INDEX_URL...) count.
set -eu
python=${PYTHON:-python3}
dry=
friends=
for each; do
    case $each in
    -h | --help)
        sed -n '2,9s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --dry-run) dry=1 ;;
    -*)
        echo "install_numpy1: unknown option $each" >&2
        exit 2
        ;;
    *[!A-Za-z0-9._-]*)
        echo "install_numpy1: $each is no package's name" >&2
        exit 2
        ;;
    *) friends="$friends $each" ;;
    esac
done
if [ -z "$friends" ]; then
    for each in scipy pandas matplotlib scikit-learn numba; do
        if "$python" -m pip show -q "$each" >/dev/null 2>&1; then friends="$friends $each"; fi
    done
fi
# shellcheck disable=SC2086  # names without spaces
set -- "$python" -m pip install 'numpy<2' $friends
echo "+ $*"
[ -z "$dry" ] || exit 0
"$@"
"$python" -c '
import sys
import numpy
print("numpy", numpy.__version__)
sys.exit(int(numpy.__version__.partition(".")[0]) > 1)
'
