"""From an engine's image to image.sqsh and env.toml on its host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from msgspec import Struct

from backend.config.schema import HostConfig
from backend.errors import ActionFailed, NotConfirmed
from backend.link import Link
from backend.outputs import toml
from backend.outputs.remote import ask
from backend.recipes.model import Output
from backend.text import printable, size

Compression = Literal["zstd", "gzip", "lzo", "lz4", "xz"]


class Made(Struct, frozen=True, kw_only=True):
    """An image file, read back and found whole."""

    path: str
    """On the host, absolute."""
    size: int
    """Bytes."""
    files: int
    """Everything but folders."""
    image: str
    """The id of the image it was made from."""
    left_out: tuple[str, ...] = ()
    """Variables of the image that have no form in /etc/environment: they hold line breaks."""


async def make(
    link: Link,
    host: HostConfig,
    image: str,
    into: str,
    *,
    compression: Compression = "zstd",
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Made:
    """Write the file. It gets its name when it is whole; before, nothing is there or the old one is.

    Raises `ActionFailed` (no such image, no squashfs-tools, no room, ...), `AgentFailed`, `Unreachable`.
    """

    def told(line: dict[str, Any]) -> None:
        progress(int(line.get("bytes") or 0), int(line.get("total") or 0) or None)

    question = {
        "do": "squash",
        "image": image,
        "into": into,
        "compression": compression,
        "engine": host.engine,
        "socket": host.socket or "",
    }
    done = await ask(link, question, told)
    return Made(
        path=str(done["path"]),
        size=int(done["size"]),
        files=int(done["files"]),
        image=str(done["id"]),
        left_out=tuple(map(str, done.get("left_out") or ())),
    )


async def may_write(link: Link, path: str, confirm: Callable[[str], Awaitable[bool]]) -> None:
    """Ask before a file that is there already is replaced. Raises `Refused`."""
    found = await ask(link, {"do": "there", "path": path})
    if found["size"] is None:
        return
    there = printable(str(found["path"]), 400)
    question = f"{there} on {link.name} is there already ({size(int(found['size']))}). Replace it?"
    if not await confirm(question):
        raise NotConfirmed(f"{there} on {link.name} stays as it is.", hint="Name another one, or say --yes.")


async def describe(link: Link, made: Made, output: Output) -> str:
    """Write env.toml beside the image file, or change the one that is there; its path. Raises as `change`."""
    path = f"{made.path.rpartition('/')[0]}/env.toml"
    return await change(link, path, lambda was: toml.env_toml(path, was, made.path, output))


async def change(link: Link, path: str, edit: Callable[[str | None], str]) -> str:
    """Read a small file on a host, change its text, write it whole; its path there.

    Raises what `edit` raises, and `ActionFailed` where somebody changed it meanwhile.
    """
    found = await ask(link, {"do": "read", "path": path})
    text = edit(found["text"])
    if text == found["text"]:
        return str(found["path"])
    done = await ask(link, {"do": "write", "path": path, "text": text, "was": found["text"]})
    return str(done["path"])


def file_of(name: str, into: str) -> str:
    """Where the image file goes: `into` may name the file or its folder; empty: below ~/berth/images."""
    if "\0" in into or "\n" in into:
        raise ActionFailed(f"{into!r} is no path.")
    if into.endswith((".sqsh", ".squashfs")):
        return into
    folder = into.rstrip("/") or ("/" if into else f"~/berth/images/{name.replace('/', '_')}")
    return f"{folder}/image.sqsh"
