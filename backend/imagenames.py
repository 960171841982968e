"""Whether two names mean the same image: engines write more of a name than people do."""

from __future__ import annotations

_ASSUMED = ("docker.io/library/", "docker.io/", "localhost/")
"""What Podman puts in front of a name without a registry: of a pulled image, and of one made there."""


def whole(name: str) -> str:
    """`busybox`, `docker.io/library/busybox:latest` and `localhost/busybox` are all `busybox:latest`."""
    for front in _ASSUMED:
        if name.startswith(front):
            name = name.removeprefix(front)
            break
    has_tag = "@" in name or ":" in name.rpartition("/")[2]
    return name if has_tag or not name else f"{name}:latest"
