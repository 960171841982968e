#!/bin/sh
# Runs whenever the environment starts. What stands behind it is the command.
set -eu
exec "$@"
