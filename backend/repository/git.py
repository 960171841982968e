"""Asks git about a working copy of this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend import child
from backend.errors import ActionFailed, UsageError
from backend.text import printable

_TIME = 60.0
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
"""What a repository may say, but must not make us run."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A working copy."""

    folder: Path
    """Its top."""

    @classmethod
    async def at(cls, folder: Path) -> Repository:
        """The one that a folder is in. Raises `UsageError` where it is in none, `ActionFailed`."""
        code, out, said = await _git(folder, "rev-parse", "--show-toplevel")
        if code:
            raise UsageError(f"{folder} is in no working copy of git: {said}.")
        return cls(Path(out))

    async def ask(self, *words: str) -> str:
        """What git prints, without the last line break. Raises `ActionFailed` with what it says."""
        code, out, said = await _git(self.folder, *words)
        if code:
            raise ActionFailed(f"git {words[0]} in {self.folder}: {said}.")
        return out

    async def try_(self, *words: str) -> str:
        """The same; empty where git fails."""
        code, out, _ = await _git(self.folder, *words)
        return "" if code else out

    async def branch(self) -> str:
        """The branch; empty where none is checked out."""
        return await self.try_("symbolic-ref", "--quiet", "--short", "HEAD")

    async def remote(self) -> tuple[str, str]:
        """Name and URL of the remote that counts: that of the branch, else `origin`, else the first.

        Raises `UsageError` where there is none.
        """
        branch = await self.branch()
        said = await self.try_("config", f"branch.{branch}.remote") if branch else ""
        names = (await self.ask("remote")).split("\n")
        for name in (said, "origin", *names):
            if name and name in names:
                return name, await self.ask("remote", "get-url", "--", name)
        raise UsageError(f"{self.folder} has no remote repository.", hint="See: git remote -v")

    async def default_branch(self, remote: str) -> str:
        """The remote's own branch, as far as this copy knows: `main` where it does not."""
        head = await self.try_("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD")
        if head:
            return head.partition("/")[2]
        for name in ("main", "master"):
            if await self.try_("rev-parse", "--verify", "--quiet", f"refs/remotes/{remote}/{name}"):
                return name
        return "main"

    async def distance(self, remote: str, branch: str) -> tuple[int, int] | None:
        """How many commits this copy is ahead of and behind a branch of the remote, as last fetched.

        None where that branch is not known.
        """
        found = await self.try_(
            "rev-list", "--left-right", "--count", f"HEAD...refs/remotes/{remote}/{branch}"
        )
        numbers = found.split()
        return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else None


def branch_name(project: str, user: str, now: datetime | None = None) -> str:
    """`PROJECT_USER_TIME`, the time in UTC; what git does not take in a branch's name becomes `-`."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    name = f"{project}_{user}_{moment:%Y%m%d_%H%M%S}"
    name = re.sub(r"[\x00-\x20\x7f~^:?*\[\\/]|\.\.|@\{", "-", name).strip(".-/")
    return re.sub(r"\.lock(?=_|$)", "-lock", name)


async def _git(folder: Path, *words: str) -> tuple[int, str, str]:
    quiet = {"GIT_TERMINAL_PROMPT": "0", **child.ENGLISH}
    try:
        git = await child.run("git", *_SAFE, "-C", str(folder), *words, limit=_TIME, more=quiet)
    except FileNotFoundError:
        raise ActionFailed("git is not installed on this machine.") from None
    except TimeoutError:
        raise ActionFailed(f"git {words[0]} in {folder} did not end within {_TIME:.0f} s.") from None
    text = printable(git.err.decode(errors="replace").strip().removeprefix("fatal: "), 300)
    return git.code, git.out.decode(errors="surrogateescape").rstrip("\n"), text.rstrip(".")
