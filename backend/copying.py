"""Copies between this machine and a container: whole or not at all.

Out: unpacked in a hidden folder beside the target, renamed at the end. In: put into a hidden folder beside
the target, renamed by a command inside at the end; where nothing can run inside, put in place directly.
"""

from __future__ import annotations

import asyncio
import posixpath
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backend.actions.context import ActionContext
from backend.config.paths import expanded
from backend.errors import ActionFailed, BerthError, NoSuchTarget, UsageError
from backend.model import ContainerRow
from backend.pack import measure, pack
from backend.text import printable, size
from backend.unpack import Unpacked, discard, put_in_place, unpack
from backend.whole import whole

if TYPE_CHECKING:
    from backend.engine import EngineClient
    from backend.engine.files import Stream

_PROGRESS_EVERY = 0.1
"""Seconds between two reports of how far a copy is."""
_NAMED = 20
"""Files that were passed over and are named one by one."""
_CLEAN_UP = 5.0

_MOVE = r"""
hidden=$1 name=$2 target=$3
if [ -e "$target" ] || [ -L "$target" ]; then mv "$target" "$hidden/.replaced" || exit 1; fi
if mv "$hidden/$name" "$target"; then rm -rf "$hidden"; exit 0; fi
if [ -e "$hidden/.replaced" ] || [ -L "$hidden/.replaced" ]; then mv "$hidden/.replaced" "$target"; fi
exit 1
"""
"""For `sh -c` inside: what came gets its name; what had it before is removed only then."""


# ------------------------------------------------------------------------------------------ out


async def copy_out(
    ctx: ActionContext,
    engine: EngineClient,
    row: ContainerRow,
    source: str,
    target: str,
    *,
    overwrite: bool,
) -> str:
    """Copy a file or folder of a container to this machine. What was done, in one line."""
    source = _absolute(source)
    path, found = await engine.follow(row.id, source)
    if found is None:
        raise NoSuchTarget(f"{source} is not in {row.name} on {row.host}.")
    place = _place_here(target, posixpath.basename(source.rstrip("/")) or row.name)
    await _may_replace(ctx, str(place), place.is_symlink() or place.exists(), overwrite)
    ctx.progress(0, None if found.is_dir else found.size)
    meter = _Meter(ctx, None if found.is_dir else found.size)

    hidden: Path | None = None
    try:
        hidden = Path(tempfile.mkdtemp(prefix=f".{place.name[:100]}.berth-", dir=place.parent))
        folder = hidden

        def consume(stream: Stream) -> Unpacked:
            done = unpack(stream, folder, meter.moved)
            put_in_place(done.root, place, folder)
            return done

        done = await engine.read_archive(row.id, path, consume)
    except OSError as error:
        raise ActionFailed(f"{place.parent}: {error.strerror or error}.") from None
    finally:
        if hidden is not None:
            await asyncio.to_thread(discard, hidden)
    _name_skipped(ctx, done.skipped, done.unnamed)
    files = "1 file" if done.files == 1 else f"{done.files} files"
    but = _but(len(done.skipped) + done.unnamed)
    return f"copied {files} ({size(done.bytes)}) from {row.name} on {row.host} to {place}{but}"


def _place_here(target: str, name: str) -> Path:
    """Where a copy goes: into an existing folder, or to a new name in one."""
    path = expanded(target or ".")
    if path.is_dir():
        return path.resolve() / name
    if target.endswith("/"):
        raise UsageError(f"{target} is no folder.", hint="Make it first, or leave out the slash at its end.")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is no folder.", hint="Make it first.")
    return path.parent.resolve() / path.name


# ------------------------------------------------------------------------------------------- in


async def copy_in(
    ctx: ActionContext,
    engine: EngineClient,
    row: ContainerRow,
    source: str,
    target: str,
    *,
    overwrite: bool,
) -> str:
    """Copy a file or folder of this machine into a container. What was done, in one line."""
    path = _source_here(source)
    landing = await _landing(engine, row, _absolute(target), path.name)
    place, name = landing.path, landing.name
    await _may_replace(ctx, f"{place} in {row.name} on {row.host}", landing.taken, overwrite)
    skipped: list[str] = []
    try:
        total = await asyncio.to_thread(measure, path)
        meter = _Meter(ctx, total)
        if await _has_shell(engine, row):
            archive = pack(path, name, meter.moved, skipped, inside=landing.hidden)
            await _in_and_rename(ctx, engine, row, archive, landing)
        else:
            await engine.write_archive(row.id, landing.folder, pack(path, name, meter.moved, skipped))
    except OSError as error:
        raise ActionFailed(f"{error.filename or path}: {error.strerror or error}.") from None
    _name_skipped(ctx, skipped)
    return f"copied {path} ({size(total)}) to {place} in {row.name} on {row.host}{_but(len(skipped))}"


def _source_here(source: str) -> Path:
    path = expanded(source)
    if not path.exists():
        raise NoSuchTarget(f"{source} is not on this machine.")
    path = path.resolve()
    if not path.name:
        raise UsageError("the whole machine cannot be copied.")
    return path


@dataclass(frozen=True)
class _Landing:
    """Where a copy goes inside."""

    folder: str
    name: str
    taken: bool
    """Something has that name."""
    hidden: str = field(default_factory=lambda: f".berth-{secrets.token_hex(8)}")
    """A folder beside it, until the copy is complete."""

    @property
    def path(self) -> str:
        return posixpath.join(self.folder, self.name)


async def _landing(engine: EngineClient, row: ContainerRow, target: str, name: str) -> _Landing:
    where = f"{row.name} on {row.host}"
    path, found = await engine.follow(row.id, target)
    if found is not None and found.is_dir:
        return _Landing(path, name, await engine.stat(row.id, posixpath.join(path, name)) is not None)
    if target.endswith("/"):
        raise NoSuchTarget(f"{target} is no folder in {where}.", hint="Make it first.")
    parent, parent_found = await engine.follow(row.id, posixpath.dirname(target))
    if parent_found is None or not parent_found.is_dir:
        raise NoSuchTarget(f"{posixpath.dirname(target)} is no folder in {where}.", hint="Make it first.")
    return _Landing(parent, posixpath.basename(target), found is not None)


async def _has_shell(engine: EngineClient, row: ContainerRow) -> bool:
    """Whether the container runs and has the few programs that renaming takes."""
    try:
        result = await engine.exec(row.id, ["sh", "-c", "command -v mv && command -v rm"], user="0")
    except NoSuchTarget:
        raise
    except BerthError:
        return False
    return result.exit_code == 0


async def _in_and_rename(
    ctx: ActionContext, engine: EngineClient, row: ContainerRow, archive: Iterator[bytes], landing: _Landing
) -> None:
    from backend.engine.lasting import Lasting

    path = posixpath.join(landing.folder, landing.hidden)
    try:
        await engine.write_archive(row.id, landing.folder, archive)
        move = ["sh", "-c", _MOVE, "sh", path, landing.name, landing.path]
        moved = await engine.exec(row.id, move, user="0")
        if moved.exit_code:
            said = printable(moved.stderr.decode(errors="replace").strip()[-300:])
            raise ActionFailed(f"{landing.path} cannot be written in {row.name} on {row.host}: {said}")
    except BaseException:
        with suppress(BerthError, TimeoutError):
            tidy = Lasting(engine, lambda: ctx.engine(row.host))
            await whole(
                tidy.do(
                    lambda there: asyncio.wait_for(
                        there.exec(row.id, ["rm", "-rf", path], user="0"), _CLEAN_UP
                    )
                )
            )
        raise


# ---------------------------------------------------------------------------------------- common


class _Meter:
    """Bytes counted in a thread, told to the action now and then."""

    def __init__(self, ctx: ActionContext, total: int | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._tell: Callable[[int], None] = lambda done: ctx.progress(done, total)
        self._next = 0.0

    def moved(self, done: int) -> None:
        """So many bytes in all. Called from a thread."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_EVERY
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._tell, done)


def _absolute(path: str) -> str:
    if "\0" in path:
        raise UsageError("a path cannot hold a NUL character.")
    return path if path.startswith("/") else f"/{path}"


async def _may_replace(ctx: ActionContext, what: str, there: bool, overwrite: bool) -> None:
    if there and not overwrite:
        await ctx.agree(
            f"{what} exists. Replace it?",
            f"{what} exists and was left as it is.",
            hint="Say --overwrite to replace it.",
        )


def _name_skipped(ctx: ActionContext, skipped: list[str], unnamed: int = 0) -> None:
    for each in skipped[:_NAMED]:
        ctx.report(f"not copied: {each}")
    if more := max(0, len(skipped) - _NAMED) + unnamed:
        ctx.report(f"not copied: {more} more")


def _but(skipped: int) -> str:
    return f"; {skipped} not copied" if skipped else ""
