"""How far working copies of git are from the repositories that they were made of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from backend.errors import BerthError
from backend.repository.git import Repository

_AT_ONCE = 4
"""Working copies that are asked side by side."""


class Standing(Struct, frozen=True, kw_only=True, gc=False):
    """Of one working copy, as far as was fetched last."""

    folder: str
    """Its top."""
    branch: str
    """Empty: none is checked out."""
    onto: str
    """The branch of the base repository that counts: `upstream/main`, else `origin/main`."""
    ahead: int
    """Commits that the base repository has not."""
    behind: int
    """Commits of the base repository that are not here."""
    changed: int
    """Files with changes that are in no commit; new ones count."""

    @property
    def text(self) -> str:
        """`2 ahead and 1 behind of origin/main, 3 files changed`; empty where all is the same."""
        parts = [
            f"{count} {word}" for count, word in ((self.ahead, "ahead"), (self.behind, "behind")) if count
        ]
        said = [f"{' and '.join(parts)} of {self.onto}"] if parts else []
        if self.changed:
            said.append(f"{self.changed} file{'s' if self.changed > 1 else ''} changed")
        return ", ".join(said)


async def standings(folders: Iterable[Path]) -> dict[Path, Standing]:
    """For each folder that is in a working copy with a remote: how that stands. Nothing is fetched."""
    of = await asyncio.to_thread(_tops, list(folders))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(top: Path) -> Standing | None:
        async with gate:
            try:
                return await standing(Repository(top))
            except BerthError:
                return None

    wanted = list(dict.fromkeys(top for top in of.values() if top is not None))
    found = dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))
    known = ((folder, found[top]) for folder, top in of.items() if top is not None)
    return {folder: each for folder, each in known if each is not None}


async def standing(repository: Repository) -> Standing | None:
    """Of one working copy; None where its base repository, or that one's branch, is not known."""
    remotes = (await repository.ask("remote")).split("\n")
    remote = "upstream" if "upstream" in remotes else (await repository.remote())[0]
    onto = await repository.default_branch(remote)
    distance = await repository.distance(remote, onto)
    if distance is None:
        return None
    changed = await repository.try_("status", "--porcelain", "--no-renames", "-z")
    return Standing(
        folder=str(repository.folder),
        branch=await repository.branch(),
        onto=f"{remote}/{onto}",
        ahead=distance[0],
        behind=distance[1],
        changed=sum(bool(line) for line in changed.split("\0")),
    )


def _tops(folders: Iterable[Path]) -> dict[Path, Path | None]:
    known: dict[Path, Path | None] = {}
    return {folder: _top(folder, known) for folder in folders}


def _top(folder: Path, known: dict[Path, Path | None]) -> Path | None:
    """The folder that holds `.git`: this one or one above it."""
    way: list[Path] = []
    found: Path | None = None
    for each in (folder, *folder.parents):
        if each in known:
            found = known[each]
            break
        way.append(each)
        if (each / ".git").exists():
            found = each
            break
    known.update(dict.fromkeys(way, found))
    return found
