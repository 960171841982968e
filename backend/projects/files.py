"""Which files of a project go to a host: what git does not ignore."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from backend import child
from backend.errors import ActionFailed, UsageError

_NEVER = (".git", ".cache", "output")
"""Of a project without git: what rp keeps out of the way."""
_GIT_TIME = 60.0


async def listed(folder: Path) -> list[str]:
    """Paths below `folder`, sorted; odd bytes as `os.fsdecode` has them. Raises `UsageError` for none."""
    named = await _by_git(folder)
    found = await asyncio.to_thread(_by_walk if named is None else lambda top: _present(top, named), folder)
    if not found:
        raise UsageError(
            f"{folder} has no files that could be sent.", hint="Does .gitignore exclude them all?"
        )
    return sorted(found)


async def _by_git(folder: Path) -> set[str] | None:
    """None where it is no git repository, or git is not there."""
    words = ("-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    try:
        git = await child.run("git", *words, limit=_GIT_TIME)
    except TimeoutError:
        raise ActionFailed(f"git does not answer in {folder}.") from None
    except OSError:
        return None
    return None if git.code else {os.fsdecode(name) for name in git.out.split(b"\0") if name}


def _present(folder: Path, names: set[str]) -> list[str]:
    """Those that are there. A repository inside it is named as a folder: its files are not ours."""
    found = []
    for name in names:
        path = folder / name
        if path.is_symlink() or path.is_file():
            found.append(name)
    return found


def _by_walk(folder: Path) -> list[str]:
    found: list[str] = []
    for here, folders, files in os.walk(folder):
        top = Path(here)
        if top == folder:
            folders[:] = [name for name in folders if name not in _NEVER]
        linked = [name for name in folders if (top / name).is_symlink()]
        found += [str((top / name).relative_to(folder)) for name in (*files, *linked)]
    return found
