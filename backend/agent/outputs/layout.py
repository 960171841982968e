"""What enroot reads in the root of an image: /etc/rc, /etc/rc.local, /etc/fstab and /etc/environment.

Source: enroot's image-format page. /etc/rc starts the container and gets the command as its arguments,
/etc/fstab holds further mounts (the target is relative to the root, `x-create=dir` makes it) and
/etc/environment one NAME=VALUE per line.
"""

from __future__ import annotations

import shlex
from typing import Any, Dict, List

_RC_LOCAL = "# Read by /etc/rc when the container starts: may change what is run.\n"
_HEADER = "# made by berth from {}\n"


def files(image: str, config: Dict[str, Any]) -> Dict[str, bytes]:
    """Path below the root to content. `config`: what the engine's inspection of the image calls Config."""
    texts = {
        "etc/rc": _rc(image, config),
        "etc/rc.local": _RC_LOCAL,
        "etc/fstab": "".join(_mount(path) for path in sorted(config.get("Volumes") or {})),
        "etc/environment": "".join(f"{line}\n" for line in environment(config)),
    }
    return {path: text.encode("utf-8", "surrogateescape") for path, text in texts.items()}


def environment(config: Dict[str, Any]) -> List[str]:
    """The image's variables; one with a line break has no form there and is left out."""
    return [line for line in config.get("Env") or [] if "\n" not in line and "=" in line]


def left_out(config: Dict[str, Any]) -> List[str]:
    """Names of the variables that `environment` leaves out."""
    return [line.partition("=")[0] for line in config.get("Env") or [] if line not in environment(config)]


def workdir(config: Dict[str, Any]) -> str:
    """Where commands run: absolute, `/` where the image does not say."""
    return str(config.get("WorkingDir") or "/")


def _rc(image: str, config: Dict[str, Any]) -> str:
    entrypoint = _words(config.get("Entrypoint"))
    command = _words(config.get("Cmd"))
    if not entrypoint and not command:
        command = "/bin/sh"
    folder = shlex.quote(workdir(config))
    labels = "".join(
        f"# {_line(key)} {_line(value)}\n" for key, value in sorted((config.get("Labels") or {}).items())
    )
    return (
        f"{_HEADER.format(_line(image))}{labels}"
        f"\nmkdir -p -- {folder} 2>/dev/null\ncd -- {folder} || exit 1\nunset OLDPWD\n"
        "if [ -s /etc/rc.local ]; then\n    . /etc/rc.local\nfi\n"
        f'if [ "$#" -gt 0 ]; then\n    exec {entrypoint} "$@"\nelse\n    exec {entrypoint} {command}\nfi\n'
    )


def _words(found: Any) -> str:
    """A command of an image, quoted for a shell: a list, or a string in old images."""
    if isinstance(found, str):
        return shlex.quote(found)
    return " ".join(shlex.quote(str(each)) for each in found or [])


def _line(text: Any) -> str:
    """Without anything that would end a comment."""
    return "".join(char if char.isprintable() else " " for char in str(text))


def _mount(path: str) -> str:
    """A volume of the image as a mount of the folder on itself: writable, as in the engine's containers."""
    place = "".join(f"\\{ord(char):03o}" if char in " \t\n\\" else char for char in path)
    return f"${{ENROOT_ROOTFS}}{place} {place} none x-create=dir,bind,rw,nosuid,nodev\n"
