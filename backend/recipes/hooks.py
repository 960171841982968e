"""The Dockerfile of a workspace, made of the hooks in its `container/`.

pre-install as root, then packages.txt by the base's package manager, requirements.txt by pip, a user with the
numbers of whoever builds it, post-install; pre-run is kept in the image for each start. Missing and empty
hooks are steps that do not exist.
"""

from __future__ import annotations

import re
from pathlib import Path

from backend.errors import ConfigError
from backend.recipes.context import Entry
from backend.recipes.model import PRE_RUN
from backend.recipes.scan import CONTAINER

HOME = "/home/user"
DATA = "/data"
"""Where run-data is seen inside."""
_KEPT = "/usr/local/lib/berth"
_LIMIT = 1 << 20
_INSTALL = r"""#!/bin/sh
# Made by berth. Installs the packages that are its arguments, by the package manager of the base.
set -eu
export DEBIAN_FRONTEND=noninteractive
if command -v apt-get > /dev/null; then
  apt-get update
  apt-get install -y --no-install-recommends "$@"
  rm -rf /var/lib/apt/lists/*
elif command -v apk > /dev/null; then apk add --no-cache "$@"
elif command -v dnf > /dev/null; then dnf install -y "$@" && dnf clean all
elif command -v microdnf > /dev/null; then microdnf install -y "$@" && microdnf clean all
elif command -v yum > /dev/null; then yum install -y "$@" && yum clean all
elif command -v zypper > /dev/null; then zypper --non-interactive install "$@" && zypper clean --all
elif command -v pacman > /dev/null; then pacman -Sy --noconfirm "$@"
else
  echo "packages.txt: the base has no package manager that berth knows" >&2
  exit 1
fi
"""
_PIP = r"""#!/bin/sh
# Made by berth. Installs requirements.txt with the pip of the base.
set -eu
for python in python3 python; do
  if command -v $python > /dev/null && $python -m pip --version > /dev/null 2>&1; then
    if $python -m pip install --help | grep -q break-system-packages; then
      set -- --break-system-packages "$@"
    fi
    exec $python -m pip install --no-cache-dir "$@"
  fi
done
echo "requirements.txt: there is no python with pip; name them in packages.txt or choose another base" >&2
exit 1
"""


def find(folder: Path, name: str) -> Path | None:
    """The file of a hook, with or without `.sh`; None where it is missing or says nothing."""
    for each in (name, f"{name}.sh"):
        path = folder / CONTAINER / each
        try:
            with path.open("rb") as file:
                data = file.read(_LIMIT + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
        if len(data) > _LIMIT:
            raise ConfigError(f"{path}: larger than {_LIMIT} bytes.")
        if any(line.strip() and not line.strip().startswith(b"#") for line in data.splitlines()):
            return path
    return None


def packages(path: Path) -> list[str]:
    """The names in packages.txt: several on a line are fine, `#` begins a comment. Raises `ConfigError`."""
    found: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        for word in line.partition("#")[0].split():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_:~=*@/-]*", word):
                raise ConfigError(
                    f"{path}:{number}: {word!r:.80} is no name of a package.",
                    hint="Write one package per line; commands belong into pre-install.",
                )
            found.append(word)
    return found


def dockerfile(folder: Path) -> tuple[str, list[Entry]]:
    """The text, and what else the context needs. Raises `ConfigError` naming file and line."""
    lines = ["ARG baseimage", "FROM ${baseimage}", "USER root"]
    made: list[Entry] = []
    copy = [f"COPY {CONTAINER} {_KEPT}/{CONTAINER}"]
    if find(folder, "pre-install"):
        lines += [*copy, _run(folder, "pre-install")]
        copy = []
    if path := find(folder, "packages.txt"):
        made.append(Entry("berth/install-packages", data=_INSTALL.encode(), mode=0o755))
        lines.append(f"COPY berth/install-packages {_KEPT}/install-packages")
        lines.append(f"RUN {_KEPT}/install-packages {' '.join(packages(path))}")
    lines += copy  # late where it can be: a changed hook is no reason to install packages again
    if find(folder, "requirements.txt"):
        made.append(Entry("berth/install-requirements", data=_PIP.encode(), mode=0o755))
        lines.append(f"COPY berth/install-requirements {_KEPT}/install-requirements")
        lines.append(f"RUN cd {_KEPT}/{CONTAINER} && {_KEPT}/install-requirements -r requirements.txt")
    lines += ["ARG BERTH_UID=1000", "ARG BERTH_GID=1000", f"RUN {_USER}", f"ENV HOME={HOME}"]
    if find(folder, "post-install"):
        lines.append(_run(folder, "post-install"))
    if hook := find(folder, "pre-run"):
        lines.append(f"RUN cp {_KEPT}/{CONTAINER}/{hook.name} {PRE_RUN} && chmod 755 {PRE_RUN}")
    lines += [f"WORKDIR {DATA}", ""]
    return "\n".join(lines), made


def _run(folder: Path, name: str) -> str:
    """A hook as a step: by the program that its first line names, else by sh."""
    path = find(folder, name)
    called = path.name if path else name
    first = path.read_bytes()[:2] if path else b""
    how = f"./{called}" if first == b"#!" else f"sh -e ./{called}"
    return f"RUN cd {_KEPT}/{CONTAINER} && {how}"


_USER = (
    f"mkdir -p {HOME}"
    ' && { grep -q "^[^:]*:[^:]*:$BERTH_GID:" /etc/group || echo "user:x:$BERTH_GID:" >> /etc/group; }'
    ' && { grep -q "^[^:]*:[^:]*:$BERTH_UID:" /etc/passwd'
    f' || echo "user:x:$BERTH_UID:$BERTH_GID::{HOME}:/bin/sh" >> /etc/passwd; }}'
    f' && chown "$BERTH_UID:$BERTH_GID" {HOME}'
)
"""Somebody with these numbers and a home, with nothing but sh; a base that has them already keeps them."""


def entries(folder: Path) -> list[Entry]:
    """The files of `container/`, hooks with plain line ends and executable."""
    from backend.recipes.context import walk
    from backend.recipes.ignore import Ignore

    found = [Entry(CONTAINER, str(folder / CONTAINER))]
    for entry in walk(folder / CONTAINER, Ignore([]), f"{CONTAINER}/"):
        name = entry.target.removeprefix(f"{CONTAINER}/")
        is_file = Path(entry.source).is_file() and not Path(entry.source).is_symlink()
        if is_file and name.removesuffix(".sh") in ("pre-install", "post-install", "pre-run"):
            found.append(Entry(entry.target, entry.source, mode=0o755, text=True))
        elif is_file and name in ("packages.txt", "requirements.txt"):
            found.append(Entry(entry.target, entry.source, text=True))
        else:
            found.append(entry)
    return found
