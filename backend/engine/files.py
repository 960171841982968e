"""Tar streams in and out of a container: what `docker cp` is made of."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
from msgspec import Struct

from backend.engine.caller import IDLE_TIMEOUT, Caller
from backend.engine.lane import Lane
from backend.errors import NoSuchTarget

T = TypeVar("T")

_CHUNK = 256 * 1024
_SYMLINK = 1 << 27
_DIRECTORY = 1 << 31
"""Bits of a Go file mode."""
_LINKS = 10
"""Symbolic links followed from one to the next."""


class PathStat(Struct, frozen=True):
    """What is at a path in a container."""

    name: str
    size: int
    """Bytes; of no meaning for a folder."""
    mode: int
    """As Go writes it: type bits at the top, permissions in the low nine."""
    linkTarget: str = ""  # noqa: N815  # the engine's own name

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return bool(self.mode & _DIRECTORY)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return bool(self.mode & _SYMLINK)


class Stream:
    """The bytes of a tar archive as they come, readable like a file by the thread that fetches them."""

    def __init__(self, lane: Lane, chunks: Iterator[bytes]) -> None:
        self._lane = lane
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, at least one but at the end."""
        while not self._rest:
            found = next(self._chunks, None)
            self._lane.moved()
            if found is None:
                return b""
            self._rest = found
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


class Files(Caller):
    """The part of the client that moves files."""

    kind: str

    async def stat(self, container: str, path: str) -> PathStat | None:
        """What is at `path`, or None. A link is not followed."""

        def ask(lane: Lane) -> PathStat | None:
            url = lane.endpoint("/containers/{}/archive", container)
            response = lane.head(url, params={"path": self._plain(path)}, timeout=None)
            if response.status_code >= 500:  # HEAD has no body to say why
                response = lane.get(url, params={"path": self._plain(path)}, stream=True, timeout=None)
                if response.status_code >= 400 and "not a directory" in response.text:
                    return None
            lane.checked(response)
            return _stat(response.headers.get("x-docker-container-path-stat", ""))

        try:
            return await self.call(f"look at {path}", ask)
        except NoSuchTarget:
            # Nor does it tell a missing file from a missing container.
            await self.call(f"look at {path}", lambda lane: lane.inspect_container(container))
            return None

    async def follow(self, container: str, path: str) -> tuple[str, PathStat | None]:
        """Where `path` leads after all links, and what is there."""
        found = await self.stat(container, path)
        for _ in range(_LINKS):
            if found is None or not found.is_link or not found.linkTarget:
                break
            path = found.linkTarget
            found = await self.stat(container, path)
        return path, found

    async def read_archive(self, container: str, path: str, consume: Callable[[Stream], T]) -> T:
        """Give the tar archive of `path` to `consume`, which runs in a thread and decides what comes of it.

        It is waited for after a cancel: its next read fails and it cleans up.
        """

        def fetch(lane: Lane) -> T:
            chunks, _ = lane.get_archive(container, self._plain(path), chunk_size=_CHUNK)
            return consume(Stream(lane, iter(chunks)))

        return await self.call(f"read {path}", fetch, timeout=None, idle=IDLE_TIMEOUT, settle=True)

    async def write_archive(self, container: str, folder: str, chunks: Iterator[bytes]) -> None:
        """Unpack a tar archive in a folder of the container. `chunks` is drawn from in a thread.

        The engine unpacks as it reads: after a failure a part may be there.
        """

        def counted(lane: Lane) -> Iterator[bytes]:
            for chunk in chunks:
                lane.moved()
                yield chunk

        def send(lane: Lane) -> None:
            url = lane.endpoint("/containers/{}/archive", container)
            lane.checked(lane.put(url, params={"path": folder}, data=counted(lane), timeout=None))

        await self.call(f"write to {folder}", send, timeout=None, idle=IDLE_TIMEOUT, settle=True)

    def _plain(self, path: str) -> str:
        """A path that stands for itself: Podman takes it for a pattern."""
        return re.sub(r"([*?\[\\])", r"\\\1", path) if self.kind == "podman" else path


def _stat(header: str) -> PathStat:
    if not header:
        raise ValueError("no path stat")
    return msgspec.convert(json.loads(b64decode(header)), PathStat)
