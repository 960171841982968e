"""Asking a host's side: one process over the open connection, requests and answers as lines of JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from backend.disk.model import Entry, FileSystem, Listing, Owner, Progress
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, Unreachable
from backend.hostprogram import joined, start
from backend.text import printable

if TYPE_CHECKING:
    from backend.link import Link, LinkProcess

MODULES = ("places", "tree", "scan", "look", "change", "tell", "serve")
"""Of backend/disk/host, in the order in which they build on each other."""
_LONGEST = 64 * 1024 * 1024
_PIECE = 1 << 17
_MOST = 1 << 62
Event = dict[str, Any]


@cache
def program() -> bytes:
    """All of backend/disk/host as one compressed text."""
    return joined("backend.disk.host", MODULES)


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Raise `ActionFailed` where an answer is not what it should be."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise ActionFailed(f"{name}: what it says of its disks is not understood.") from None


class HostSide:
    """A program of ours on a host that lives as long as its channel."""

    def __init__(self, link: Link, process: LinkProcess, *, sudo: bool) -> None:
        self.name = link.name
        self.sudo = sudo
        self.told: Callable[[Event], None] = lambda event: None
        """Called with each event: how far a scan or a removal is, that it ended."""
        self.pid = 0
        """Its process number on the host."""
        self._process = process
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._lost: BerthError | None = None
        self._reader = asyncio.create_task(self._read(), name=f"disk {link.name}")

    @classmethod
    async def open(cls, link: Link, *, sudo: bool = False, polite: bool = True) -> Self:
        """Start it; `polite`: at idle priority. Raises `ActionFailed`, `Unreachable`."""
        words, front = ["polite"] if polite else [], ["sudo", "-n"] if sudo else []
        side = cls(link, await start(link, program(), words, front=front), sudo=sudo)
        try:
            hello = await side.ask("hello")
            if hello.get("protocol") != 1:
                raise ActionFailed(f"{link.name} speaks another version of this.")
            side.pid = count(hello.get("pid", 0))
        except BaseException:
            await side.close()
            raise
        return side

    async def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """One answer. Raises `BerthError`s; a cancel leaves the host's side as it is."""
        if self._lost is not None:
            raise self._lost
        self._number += 1
        number = self._number
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._process.write(json.dumps({**request, "do": do, "id": number}).encode() + b"\n")
            return _checked(self.name, await answer)
        except Unreachable:
            await asyncio.wait({self._reader}, timeout=3.0)
            raise self._lost or Unreachable(f"{self.name}: the connection was lost.") from None
        finally:
            self._answers.pop(number, None)

    async def close(self) -> None:
        """End it, in the middle of whatever it does."""
        self._process.write_eof()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._fail(Unreachable(f"{self.name}: this was ended."))
        await self._process.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ------------------------------------------------------------------------------------------ asking

    async def filesystems(self, folders: Sequence[tuple[str, str]]) -> tuple[FileSystem, ...]:
        """How full its disks are; `folders`: (role, folder)."""
        answer = await self.ask("filesystems", folders=[list(each) for each in folders])
        with understood(self.name):
            return tuple(_filesystem(self.name, each) for each in answer["filesystems"])

    async def scan(self, path: str, seconds: float, *, cross: bool = False, fresh: bool = False) -> str:
        """Begin to read a folder, or read on in it; its path without links. `told` says when it ended."""
        answer = await self.ask("scan", **{"path": path, "for": seconds, "cross": cross, "fresh": fresh})
        with understood(self.name):
            return str(answer["path"])

    async def stop(self) -> None:
        """Read no further."""
        await self.ask("stop")

    async def listing(self, path: str, *, fresh: bool = False) -> Listing:
        """What is in a folder, as far as that is known."""
        answer = await self.ask("list", path=path, fresh=fresh)
        with understood(self.name):
            return Listing(
                path=str(answer["path"]),
                root=str(answer["root"]),
                itself=entry(answer["self"]),
                rows=tuple(map(entry, answer["rows"])),
                more=count(answer["more"]),
                more_bytes=count(answer["more_bytes"]),
                whole=bool(answer["whole"]),
                scan=progress(answer["scan"]),
            )

    async def top(self, path: str, most: int) -> list[Entry]:
        """The biggest folders and files below one."""
        answer = await self.ask("top", path=path, most=most)
        with understood(self.name):
            return [entry(each) for each in answer["rows"]]

    async def owners(self, path: str) -> list[Owner]:
        """Who holds how much below a folder."""
        answer = await self.ask("owners", path=path)
        with understood(self.name):
            return [
                Owner(
                    host=self.name,
                    owner=str(each["owner"]),
                    bytes=count(each["bytes"]),
                    guess=count(each["guess"]),
                    holdings=tuple((str(one["path"]), count(one["bytes"])) for one in each["folders"]),
                )
                for each in answer["rows"]
            ]

    # ----------------------------------------------------------------------------------------- reading

    async def _read(self) -> None:
        buffer = bytearray()
        try:
            while piece := await self._process.read(_PIECE):
                buffer += piece
                while (end := buffer.find(b"\n")) >= 0:
                    line = bytes(buffer[:end])
                    del buffer[: end + 1]
                    self._take(json.loads(line))
                if len(buffer) > _LONGEST:
                    raise ActionFailed(f"{self.name} sends a line that is too long.")
            self._fail(await self._why())
        except BerthError as error:
            self._fail(error)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            self._fail(ActionFailed(f"{self.name}: what it says of its disks is not understood."))

    def _take(self, line: dict[str, Any]) -> None:
        if "event" in line:
            self.told(line)
            return
        answer = self._answers.get(line["id"])
        if answer is not None and not answer.done():
            answer.set_result(line)

    def _fail(self, error: BerthError) -> None:
        self._lost = self._lost or error
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
        self.told({"event": "lost", "error": str(error)})

    async def _why(self) -> BerthError:
        """Why it ended by itself."""
        try:
            code = await asyncio.wait_for(self._process.wait(), 2.0)
        except TimeoutError:
            code = -1
        said = printable(self._process.stderr.decode(errors="replace").strip().rpartition("\n")[2], 300)
        if self.sudo and "not found" in said:
            return ActionFailed(
                f"{self.name} has no sudo, or no python3 for it.",
                hint="Leave out --sudo: what cannot be read is then named.",
            )
        if self.sudo and ("sudo" in said or "password" in said):
            return Refused(
                f"{self.name}: sudo needs a password there: {said}.",
                hint="Leave out --sudo: what cannot be read is then named.",
            )
        if code == 127 or "not found" in said:
            return ActionFailed(
                f"{self.name} has no python3, which berth needs there to look at disks.",
                hint="Install it there: sudo apt install python3, or sudo dnf install python3.",
            )
        if code > 0:
            return ActionFailed(f"{self.name}: {said or f'exit code {code}'}.")
        return Unreachable(f"{self.name}: the connection was lost.", hint="Try again.")


def _checked(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    if "error" not in answer:
        return answer
    text = printable(str(answer["error"]), 600)
    kind = {"refused": Refused, "gone": NoSuchTarget}.get(str(answer.get("kind")), ActionFailed)
    raise kind(f"{name}: {text}.")


def count(found: Any) -> int:
    """A number of a host's, as one that can be shown and added."""
    return max(0, min(int(found), _MOST))


def entry(found: dict[str, Any]) -> Entry:
    """A row of a listing."""
    return Entry(
        name=str(found["name"]),
        kind=str(found["kind"]),
        bytes=count(found["bytes"]),
        guess=count(found["guess"]),
        doubt=count(found["doubt"]),
        files=count(found["files"]),
        folders=count(found["folders"]),
        owner=str(found["owner"]),
        newest=count(found["newest"]),
        open=count(found["open"]),
        read=bool(found["read"]),
        failed=bool(found["failed"]),
        folded=bool(found["folded"]),
    )


def progress(found: dict[str, Any]) -> Progress:
    """How far a scan is: of an answer or an event."""
    return Progress(
        root=str(found["root"]),
        bytes=count(found["bytes"]),
        guess=count(found["guess"]),
        doubt=count(found["doubt"]),
        files=count(found["files"]),
        folders=count(found["folders"]),
        open=count(found["open"]),
        complete=bool(found["complete"]),
        unreadable=count(found["unreadable"]),
        problems=tuple((str(path), str(why)) for path, why in found["problems"]),
        errors=count(found["errors"]),
        partial=bool(found["partial"]),
        seconds=float(found.get("seconds", 0.0)),
    )


def _filesystem(host: str, found: dict[str, Any]) -> FileSystem:
    number = {
        key: None if found.get(key) is None or found["error"] else count(found[key])
        for key in ("total", "used", "free", "inodes", "inodes_used")
    }
    if not number["inodes"]:
        number["inodes"] = number["inodes_used"] = None
    return FileSystem(
        host=host,
        mount=str(found["mount"]),
        roles=tuple(map(str, found["roles"])),
        folders=tuple(map(str, found["folders"])),
        kind=str(found["kind"]),
        source=str(found["source"]),
        error=str(found["error"]),
        total=number["total"],
        used=number["used"],
        free=number["free"],
        inodes=number["inodes"],
        inodes_used=number["inodes_used"],
    )
