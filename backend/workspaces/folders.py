"""run-data: what a workspace sees at /data, shared by all workspaces of one folder."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from backend.errors import ActionFailed, UsageError
from backend.link import Link
from backend.recipes.model import Recipe
from backend.text import printable

NAME = "run-data"
RULES = {
    "downloaded": "Data sets that people put here. Scripts read them, and never change anything here.",
    "uploadable": "What scripts make for others to have. Nothing here refers to other files of this\n"
    "machine, since nobody else has them. People change nothing here by hand.",
    "generated": "What scripts make on the way. All of it can be made again, so all of it may be deleted.",
    "src": "Code: each workspace is a folder here, with a folder `container` that says what its image needs.",
}
"""Folder to its rule, which stands in its README."""
_README = "README.md"
_ASK = r"""
case $1 in "~/"*) place=$HOME/${1#"~/"} ;; *) place=$1 ;; esac
shift
[ -d "$place" ] || echo made
for each in "$@"; do mkdir -p "$place/$each" || exit 1; done
cd "$place" && pwd
"""
_WAIT = 20.0


def make(root: Path) -> list[Path]:
    """run-data below `root`, with what is missing of it; what was made. Nothing is written over."""
    top = root if root.name == NAME else root / NAME
    made: list[Path] = []
    try:
        for name, rule in RULES.items():
            folder = top / name
            if not folder.is_dir():
                folder.mkdir(parents=True)
                made.append(folder)
            readme = folder / _README
            if not os.path.lexists(readme):
                readme.write_text(f"# {name}\n\n{rule}\n", encoding="utf-8")
    except OSError as error:
        raise ActionFailed(f"{error.filename or top}: {error.strerror or error}.") from None
    return made


def of(recipe: Recipe) -> Path | None:
    """The run-data that a workspace lies in; None where it lies elsewhere."""
    source = recipe.folder.parent
    if source.name == "src":
        return source.parent
    below = recipe.root / NAME
    return below if below.is_dir() else None


def place(recipe: Recipe, said: str, *, local: bool) -> str:
    """The folder of a host that becomes /data: what was said, else that of the workspace.

    On another machine it is at the same place below the home, which is where `berth pushdir` brings it.
    """
    if said:
        if said.startswith(("/", "~/")):
            return said.rstrip("/")
        if local:
            return str(Path.cwd() / said)
        raise UsageError(f"--data {said!r:.200} is no place on a host.", hint="Begin it with / or ~/.")
    own = of(recipe)
    if own is None:
        raise UsageError(
            f"{recipe.folder} does not lie in a {NAME}/src.",
            hint=f"Say --data DIR, or move it to {NAME}/src/{recipe.folder.name}.",
        )
    if local:
        return str(own)
    home = Path.home()
    if own.is_relative_to(home):
        return f"~/{own.relative_to(home)}"
    return f"~/{own.parent.name}/{own.name}" if own.name == NAME else f"~/{NAME}"


def bringing(recipe: Recipe, host: str, there: str) -> str:
    """How files get there, as one line for people."""
    own = of(recipe)
    if own is not None and own.is_relative_to(Path.home()) and there == f"~/{own.relative_to(Path.home())}":
        word = shlex.quote(str(recipe.folder.relative_to(Path.home())))
        return f"Your files get there by: berth pushdir {word} --host {host}"
    return f"Your files get there by: berth push, with a profile whose target is {there}"


async def have(link: Link, there: str) -> tuple[str, bool]:
    """Make sure that the folder is on the host, with its folders: its full path, and whether it was made.

    An engine would make it too, but as root's. Raises `ActionFailed`.
    """
    done = await link.run(["sh", "-c", _ASK, "berth", there, *RULES], timeout=_WAIT)
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode or not lines:
        said = printable(done.stderr.decode(errors="replace").strip(), 300)
        raise ActionFailed(
            f"{link.name}: {printable(there)} cannot be made: {said or 'no answer'}.", hint="Say --data DIR."
        )
    return lines[-1], "made" in lines[:-1]
