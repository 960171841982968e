"""The two sides of a sync: this machine and a host, asked the same things."""

from __future__ import annotations

import asyncio
import json
import os
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from backend import hostprogram
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, Unreachable
from backend.link import Link, LinkProcess
from backend.sync.host.session import PROTOCOL, Session, packed, unpacked
from backend.text import printable

MODULES = ("patterns", "walk", "place", "runs", "change", "parcel", "session")
"""Of backend/sync/host, in the order in which they build on each other."""
_PIECE = 1 << 17
_LONGEST = 1 << 30
"""Bytes of an answer, at most."""
_LONGEST_LINE = 1 << 26
"""The same, of what is said about it: problems are counted, but what a run kept is listed."""
Answer = tuple[dict[str, Any], list[bytes]]


class Side(Protocol):
    """One side."""

    name: str

    async def ask(self, do: str, payload: Sequence[bytes] = (), **request: Any) -> Answer:
        """What the `Session` there answers. Raises `ActionFailed`, `Refused`, and `Unreachable`."""

    async def close(self) -> None:
        """The end; what was locked is free."""


@cache
def program() -> bytes:
    """All of backend/sync/host as one compressed text."""
    return hostprogram.joined("backend.sync.host", MODULES)


async def start(link: Link, *words: str) -> LinkProcess:
    """Start that program on a host. Raises `ActionFailed` where there is no python3."""
    return await hostprogram.start(link, program(), words)


class LocalSide:
    """This machine."""

    def __init__(self) -> None:
        self.name = "this machine"
        self._session = Session()

    async def ask(self, do: str, payload: Sequence[bytes] = (), **request: Any) -> Answer:
        """Asked in a thread."""
        answer, parts = await asyncio.to_thread(self._session.answer, {**request, "do": do}, list(payload))
        return _checked(self.name, answer), parts

    async def close(self) -> None:
        """Free what was locked."""
        await asyncio.to_thread(self._session.do_unlock, {}, [])


class HostSide:
    """A host: a program of ours there that lives as long as its channel."""

    def __init__(self, link: Link, process: LinkProcess) -> None:
        self.name = link.name
        self.link = link
        self._process = process
        self._buffer = bytearray()
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, link: Link) -> HostSide:
        """Start it. Raises `ActionFailed`, `Unreachable`."""
        return cls(link, await start(link))

    async def ask(self, do: str, payload: Sequence[bytes] = (), **request: Any) -> Answer:
        """One question at a time."""
        data = packed(list(payload))
        head = json.dumps({**request, "do": do, "bytes": len(data)}).encode("ascii")
        async with self._turn:
            await self._process.write(head + b"\n" + data)
            line = await self._line()
            try:
                answer = json.loads(line)
                size = int(answer["bytes"])
            except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
                said = printable(line.decode(errors="replace").strip(), 100)
                raise ActionFailed(f"{self.name} sends what is no answer: {said}.") from None
            if not 0 <= size <= _LONGEST:
                raise ActionFailed(f"{self.name} sends an answer of {size} bytes.")
            try:
                parts = unpacked(await self._exactly(size))
            except zlib.error:
                raise ActionFailed(f"{self.name} sends an answer that cannot be unpacked.") from None
        return _checked(self.name, answer), parts

    async def close(self) -> None:
        """End it."""
        self._process.write_eof()
        await self._process.close()

    async def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise ActionFailed(f"{self.name} sends a line without an end.")
            await self._more()
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _more(self) -> None:
        piece = await self._process.read(_PIECE)
        if not piece:
            raise await self._gone()
        self._buffer += piece

    async def _gone(self) -> BerthError:
        """Why it ended."""
        try:
            code = await asyncio.wait_for(self._process.wait(), 2.0)
        except TimeoutError:
            code = -1
        said = printable(self._process.stderr.decode(errors="replace").strip().rpartition("\n")[2], 300)
        if code == 127 or "not found" in said:
            return ActionFailed(
                f"{self.name} has no python3, which berth needs there to sync.",
                hint="Install it there: sudo apt install python3, or sudo dnf install python3.",
            )
        if code > 0:
            return ActionFailed(f"{self.name}: {said or f'exit code {code}'}.")
        return Unreachable(
            f"{self.name}: the connection was lost.", hint="Sync again: what is there stays there."
        )


def _checked(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    if "protocol" in answer and answer["protocol"] != PROTOCOL:
        raise ActionFailed(f"{name} speaks another version of this.")
    if "error" not in answer:
        return answer
    text = printable(str(answer["error"]), 600)
    kind = answer.get("kind")
    if kind == "locked":
        raise ActionFailed(
            f"{name}: {text} is syncing there now.", hint="Wait for it, or end it there; then sync again."
        )
    if kind == "open":
        raise Refused(f"{name}: {text}", hint="Close it: chmod 700")
    if kind == "gone":
        raise NoSuchTarget(f"{name}: {text}")
    hint = "Free some space there." if kind == "full" or "No space left" in text else ""
    if "Read-only file system" in text:
        hint = "Name another target in sync.yaml."
    raise ActionFailed(f"{name}: {text}", hint=hint)


def environment() -> dict[str, str]:
    """For programs whose words are read."""
    return {**os.environ, "LC_ALL": "C"}
