"""Taking syncs back: the latest one on all its hosts, or a single run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct

from backend.config import Config, SyncProfile, SyncRule
from backend.errors import BerthError, NoSuchTarget, Refused, exit_code_for
from backend.sync.engine import HostSync, Wish
from backend.sync.history import forget, past, undo
from backend.sync.model import HostResult, Way
from backend.sync.plan import Options
from backend.sync.where import writable
from backend.sync.words import files

if TYPE_CHECKING:
    from backend.actions.context import Access

Asking = Callable[[str], Awaitable[bool]]
_RULE = SyncRule(source="~/-", target="~/-")


class Taken(Struct, frozen=True, kw_only=True):
    """What became of one run; what `--json` prints."""

    host: str
    run: str
    ok: bool
    back: int = 0
    """Files that were put back; a folder counts as one."""
    left: tuple[str, ...] = ()
    """What stays as it is, and why."""
    error: str | None = None
    exit_code: int = 0

    @property
    def message(self) -> str:
        """All of it in one line."""
        if self.error is not None:
            return self.error if self.error.startswith(f"{self.host}:") else f"{self.host}: {self.error}"
        left = f"; left alone: {'; '.join(self.left[:5])}" if self.left else ""
        return f"{self.host}: {self.back:,} put back{left}"


def meant(run: str, hosts: Sequence[str] = ()) -> list[HostResult]:
    """The run of that name; else those of the latest sync that can be undone, one per host.

    Raises `NoSuchTarget`.
    """
    known = [each for each in past() if each.run and (not hosts or each.host in hosts)]
    if run:
        found = [each for each in known if run in (each.run, each.batch)]
    else:
        found = [each for each in known[:1] if not each.batch]
        found += [each for each in known if each.batch and each.batch == known[0].batch]
    if not found:
        what = f"no sync {run!r} on record" if run else "no sync on record that replaced or deleted something"
        raise NoSuchTarget(f"there is {what}.", hint="See: berth sync history")
    return found


async def take_back(
    config: Config, access: Access, found: Sequence[HostResult], *, force: bool, agree: Asking
) -> list[Taken]:
    """Put back what these runs replaced or deleted, hosts side by side. Raises `Refused`."""
    if not await agree(question(found)):
        raise Refused("Not done.", hint="It was not confirmed.")
    here = asyncio.Lock()

    async def one(result: HostResult) -> Taken:
        try:
            return await _one(config, access, result, force, here)
        except BerthError as error:
            code = exit_code_for(error)
            return Taken(host=result.host, run=result.run, ok=False, error=str(error), exit_code=code)

    return list(await asyncio.gather(*map(one, found)))


def question(found: Sequence[HostResult]) -> str:
    """What is asked first."""
    first = found[0]
    when = f"{first.started_at.astimezone():%Y-%m-%d %H:%M}"
    changed, deleted = sum(each.changed for each in found), sum(each.deleted for each in found)
    what = f"which replaced {changed:,} and deleted {files(deleted)}"
    if first.profile in ("pushdir", "pulldir"):
        what = "the folder as it was before comes back"
    hosts = ", ".join(each.host for each in found)
    return f"Undo {first.profile} of {when} with {hosts}, {what}?"


async def _one(config: Config, access: Access, found: HostResult, force: bool, here: asyncio.Lock) -> Taken:
    wish = Wish(SyncProfile(name=found.profile, rules=(_RULE,)), Options("push"))
    back: int = 0
    stay: list[str] = []
    error: NoSuchTarget | None = None
    held = config.host(found.host).read_only  # what a pull replaced lies here: that may be put back
    ways: tuple[Way, ...] = ("pull",) if held else ("push", "pull")
    async with HostSync(access, found.host, wish) as sync:
        for way in ways:
            try:
                target = found.kept_at.get(way, "")
                async with here if way == "pull" else nullcontext():  # they may be about the same files here
                    count, left = await undo(sync, found.run, way, force=force, target=target)
            except NoSuchTarget as gone:
                error = gone
                continue
            back += count
            stay += left
    if not back and not stay and error is not None:
        if held:
            writable(config, found.host)
        raise error
    if not stay:
        forget(found.run)
    return Taken(
        host=found.host,
        run=found.run,
        ok=not stay,
        back=back,
        left=tuple(stay),
        exit_code=int(bool(stay)),
    )
