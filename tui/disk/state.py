"""What the disk page knows of one host. Everything is asked here, nothing is drawn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from backend.disk import engine as engines
from backend.disk import words
from backend.disk.model import Entry, FileSystem, Listing, Owner, Progress, Sum
from backend.disk.overview import FRESH, filesystems
from backend.disk.scanning import Scanning
from backend.errors import BerthError, NoSuchTarget
from backend.text import size

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config
    from backend.disk.model import EngineUse

SECONDS = 30.0
"""For which a folder is read before the rest is estimated; again with each key that asks for more."""
_NAMED = 4
"""Names that the line of those that hold nothing has."""
_EVERY = 0.4
"""Seconds between two looks at a folder that is being read."""


@dataclass(frozen=True)
class DiskLine:
    """A file system, or all of one kind that the engine holds."""

    key: str
    disk: FileSystem | None = None
    sum: Sum | None = None
    note: str = ""


@dataclass(frozen=True)
class TreeLine:
    """A folder, a file, or what one user holds."""

    key: str
    name: str
    """A host's text."""
    kind: str
    size: int
    share: float | None
    """Percent of the folder they are in."""
    sampled: bool = False
    doubt: int = 0
    files: int | None = None
    owner: str = ""
    newest: int = 0
    failed: bool = False
    note: str = ""


@dataclass
class Looking:
    """One host."""

    config: Config
    access: Access
    host: str
    sudo: bool = False
    disks: Sequence[FileSystem] = ()
    use: EngineUse | None = None
    counting: bool = False
    """Whether the engine counts now."""
    path: str = "/"
    """The folder that is shown."""
    listing: Listing | None = None
    owners: Sequence[Owner] | None = None
    """Who holds how much of it, while that is what is shown."""
    by_owner: bool = False
    unfolded: bool = False
    """Whether what holds nothing has lines of its own."""
    problem: str = ""
    """What went wrong with the tree."""
    disk_problem: str = ""
    engine_problem: str = ""
    changed: int = 0
    """Counts up with everything that happens."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _walk: asyncio.Task[None] | None = None
    _scanning: Scanning | None = None

    # --------------------------------------------------------------------------------------- beginning

    def start(self) -> None:
        """Look at everything."""
        self.use = engines.kept(self.host)
        self._go(self._disks())
        if self.use is None or datetime.now(UTC) - self.use.at > FRESH:
            self.count()
        self.walk(self.path)

    def count(self) -> None:
        """Let the engine count again; what is known is shown meanwhile."""
        if not self.counting and self.config.host(self.host).engine != "none":
            self.counting = True
            self._go(self._count())

    def disks_again(self) -> None:
        """Look at the file systems again."""
        self._go(self._disks())

    def walk(self, path: str, *, fresh: bool = False, more: bool = False) -> None:
        """Show a folder, and read what is not known of it. `fresh`: all of it; `more`: go on reading."""
        if self._walk is not None:
            self._walk.cancel()
        if path != self.path:  # up from a folder that holds nothing: it has a line to stand on
            above = path == str(PurePosixPath(self.path).parent)
            self.unfolded = above and self.listing is not None and not self.listing.itself.size
        self._walk = self._go(self._show(path, fresh=fresh, more=more, before=self._walk))

    def cancel(self) -> None:
        """Read no further; what was read stays."""
        if self._scanning is not None and self._scanning.running:
            self._go(self._stop(self._scanning))

    @property
    def running(self) -> bool:
        """Whether folders are being read now."""
        return self._scanning is not None and self._scanning.running

    @property
    def progress(self) -> Progress:
        """How far the reading is."""
        return self._scanning.progress if self._scanning is not None else Progress()

    async def close(self) -> None:
        """Let go of the host: nothing of ours is left there."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._scanning is not None:
            await self._scanning.__aexit__()
            self._scanning = None

    def _go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"disk of {self.host}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------------------------------------ asking

    async def _disks(self) -> None:
        try:
            self.disks = await filesystems(self.config, self.access, self.host)
            self.disk_problem = ""
        except BerthError as error:
            self.disk_problem = str(error)
        self.changed += 1

    async def _count(self) -> None:
        self.changed += 1
        try:
            self.use = await engines.ask(await self.access.engine(self.host))
            self.engine_problem = ""
        except BerthError as error:
            self.engine_problem = str(error)
        finally:
            self.counting = False
            self.changed += 1

    async def _stop(self, scanning: Scanning) -> None:
        try:
            await scanning.side.stop()
        except BerthError as error:
            self.problem = str(error)
        self.changed += 1

    async def _show(
        self, path: str, *, fresh: bool, more: bool, before: asyncio.Task[None] | None = None
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        self.problem = ""
        try:
            await self._walk_to(path, fresh=fresh, more=more)
        except BerthError as error:
            self.problem = str(error)
        self.changed += 1

    async def _walk_to(self, path: str, *, fresh: bool, more: bool) -> None:
        scanning = await self._side()
        found = None
        if not fresh:
            try:
                found = await scanning.side.listing(path)
            except NoSuchTarget:
                found = None  # not read yet
        if found is not None:
            await self._take(found, scanning)
        unread = found is None or found.itself.open > 0 or found.itself.folded
        if unread or more:
            path = await scanning.begin(path, SECONDS, fresh=fresh)
        if self.path != path:
            self.path, self.listing = path, None
        await self._follow(path, scanning)

    async def _follow(self, path: str, scanning: Scanning) -> None:
        """Show how a folder fills, to the end of the reading."""
        while True:
            running = scanning.running
            await self._take(await scanning.side.listing(path, fresh=self.listing is None), scanning)
            if not running:
                break
            try:
                async with asyncio.timeout(_EVERY):
                    await scanning.wait()
            except TimeoutError:
                continue
        if scanning.lost:
            self.problem = scanning.lost

    async def _take(self, found: Listing, scanning: Scanning) -> None:
        self.path, self.listing = found.path, found
        if self.by_owner:
            self.owners = await scanning.side.owners(found.path)
        self.changed += 1

    async def _side(self) -> Scanning:
        """The host's side; a new one where it was lost, or has to be root now."""
        old = self._scanning
        if old is not None and not old.lost and old.side.sudo == self.sudo:
            return old
        if old is not None:
            self._scanning = None
            await old.__aexit__()
        link = await self.access.link(self.host)
        self._scanning = await Scanning(link, sudo=self.sudo, told=self._told).__aenter__()
        return self._scanning

    def _told(self, found: Progress) -> None:
        self.changed += 1

    # ------------------------------------------------------------------------------------ what is shown

    def top(self) -> list[DiskLine]:
        """File systems, then what the engine holds."""
        lines = [DiskLine(f"disk {each.mount}", disk=each) for each in self.disks]
        if self.use is not None:
            age = (datetime.now(UTC) - self.use.at).total_seconds()
            note = "counting again" if self.counting else "" if age < 60 else _ago(age)
            lines += [
                DiskLine(f"engine {each.kind}", sum=each, note=note)
                for each in engines.sums(self.use)
                if each.count
            ]
        return lines

    def rows(self) -> list[TreeLine]:
        """What is in the folder, or who holds how much of it."""
        if self.by_owner:
            return self._owner_rows()
        if self.listing is None:
            return []
        whole = self.listing.itself.size
        if self.unfolded:
            return [_line(each, whole) for each in self.listing.rows]
        rows, empty = words.parted(self.listing)
        return [_line(each, whole) for each in rows] + ([_rest(empty)] if empty else [])

    def _owner_rows(self) -> list[TreeLine]:
        whole = sum(each.bytes + each.guess for each in self.owners or ())
        return [
            TreeLine(
                key=each.owner,
                name=each.owner,
                kind="owner",
                size=each.bytes + each.guess,
                share=_share(each.bytes + each.guess, whole),
                sampled=bool(each.guess),
                owner=each.owner,
                note="  ".join(f"{path} {size(held)}" for path, held in each.holdings),
            )
            for each in self.owners or ()
        ]

    def whole_path(self, line: TreeLine) -> str:
        """Of a folder or file that is shown."""
        return f"{self.path.rstrip('/')}/{line.name}"


def _line(entry: Entry, whole: int) -> TreeLine:
    return TreeLine(
        key=entry.name,
        name=entry.name,
        kind=entry.kind,
        size=entry.size,
        share=_share(entry.size, whole),
        sampled=entry.sampled,
        doubt=entry.doubt,
        files=entry.files if entry.kind == "folder" else None,
        owner=entry.owner,
        newest=entry.newest,
        failed=entry.failed,
        note=_note(entry),
    )


def _rest(empty: Sequence[Entry]) -> TreeLine:
    """One line for what holds nothing."""
    names = ", ".join(each.name for each in empty[:_NAMED])
    note = f"{names}{', ...' if len(empty) > _NAMED else ''}"
    name = f"{len(empty):,} that hold nothing"
    return TreeLine(key="/", name=name, kind="rest", size=0, share=None, note=note)


def _note(entry: Entry) -> str:
    if entry.failed:
        return "cannot be read"
    if entry.kind == "mount":
        return "another file system"
    if entry.kind == "file" and entry.files > 1:
        return f"has {entry.files:,} names"
    if entry.sampled and entry.doubt > entry.size * 0.05:
        return f"± {size(entry.doubt)}"
    return ""


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _ago(seconds: float) -> str:
    from backend.text import duration

    return f"{duration(seconds)} ago"
