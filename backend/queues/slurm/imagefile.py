"""A project's image for all nodes of a cluster: saved once, where they find it."""

from __future__ import annotations

from collections.abc import Callable

from backend.errors import ActionFailed
from backend.link import Link
from backend.text import printable

_TIMEOUT = 3600.0
_SAVE = """\
set -eu
umask 077
folder=$1/.cache/images image=$2
[ -z "$3" ] || export DOCKER_HOST="unix://$3"
file=$folder/${image#sha256:}.tar
mkdir -p "$folder"
find "$folder" -name '*.tar*' -mtime +30 -exec rm -f -- {} +
if [ -e "$file" ]; then touch -- "$file"; else
  docker=$(command -v docker || command -v podman)
  trap 'rm -f -- "$file.$$"' EXIT
  "$docker" save -o "$file.$$" "$image"
  mv -- "$file.$$" "$file"
fi
printf '%s\\n' "$file"
"""
"""Files that no job was submitted with for a month are removed."""


async def saved(link: Link, folder: str, image: str, socket: str, say: Callable[[str], None]) -> str:
    """The file with the image (its id) in the project's folder on the login node, which the nodes share."""
    say("its image is kept in .cache/images of the project, for nodes that do not have it")
    done = await link.run(["sh", "-c", _SAVE, "sh", folder, image, socket], timeout=_TIMEOUT)
    path = done.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode or not path.startswith("/"):
        why = printable(done.stderr.decode(errors="replace").strip()[-300:]) or f"exit code {done.returncode}"
        raise ActionFailed(f"{link.name}: the project's image could not be saved: {why}.")
    return path
