"""Folders that are recipes, found below roots: one look at each folder, no file is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from backend.recipes.model import Kind, Problem

DOCKERFILES = ("Dockerfile", "Containerfile")
HOOKS = ("packages.txt", "requirements.txt", "pre-install", "post-install", "pre-run")
"""Files of a workspace's `container/`; the last three may end in .sh."""
CONTAINER = "container"
PROJECTS = "projects"
_HOOK_FILES = frozenset((*HOOKS, "pre-install.sh", "post-install.sh", "pre-run.sh", "berth.yaml"))
_INSIDE = frozenset(("images", PROJECTS, "run-data", "src"))
"""Folders in which a recipe may hold further recipes."""
_NEVER = frozenset(("node_modules", "__pycache__", "site-packages", "venv", "build-data"))
_DEEPEST = 6
_MOST = 20_000
"""Folders below one root."""


class Found(Struct, frozen=True):
    """A folder that is a recipe."""

    name: str
    kind: Kind
    """A stack member is a Dockerfile here: what its FROM says is not known yet."""
    folder: Path
    root: Path
    file: Path | None = None
    berthfile: Path | None = None
    twin: Path | None = None
    """A second berth.yaml, where there is one."""


class Scan:
    """All of some roots."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.links: list[tuple[Path, Path]] = []
        """Links to folders, and where they lead."""
        self.problems: list[Problem] = []
        self.folders: set[str] = set()
        """All folders that were seen, recipes or not."""
        self.clusters: dict[str, bool] = {}
        """Folder to whether it has projects of a cluster."""

    def root(self, root: Path) -> None:
        """Look below one root. A root that is not there is a problem."""
        if not root.is_dir():
            hint = "Settings name it: `images: roots:`."
            self.problems.append(Problem(file=root, text="this root of recipes is no folder.", hint=hint))
            return
        count = 0
        waiting = [(str(root), 0)]
        while waiting:
            folder, depth = waiting.pop()
            count += 1
            if count > _MOST:
                text = f"more than {_MOST} folders; recipes below may be missing."
                self.problems.append(
                    Problem(file=root, text=text, hint="Name the folders of recipes themselves.")
                )
                return
            below = self.folder(folder, root, depth)
            if depth < _DEEPEST:
                waiting += [(each, depth + 1) for each in reversed(below)]

    def folder(self, folder: str, root: Path, depth: int) -> list[str]:
        """Look at one folder; those below it that are to be looked at."""
        self.folders.add(folder)
        names: set[str] = set()
        below: list[str] = []
        for entry in sorted(_entries(folder), key=lambda entry: entry.name):
            names.add(entry.name)
            if entry.is_symlink():
                if entry.is_dir() or not Path(entry.path).exists():
                    self.link(entry.path)
            elif entry.is_dir() and not entry.name.startswith(".") and entry.name not in _NEVER:
                below.append(entry.path)
        if "pyvenv.cfg" in names:
            return []
        recipe = self.recipe(folder, names, root)
        if recipe is None:
            return below
        self.found.append(recipe)
        if recipe.kind is Kind.RP:
            return []
        return below if depth == 0 else [each for each in below if each.rpartition("/")[2] in _INSIDE]

    def recipe(self, folder: str, names: set[str], root: Path) -> Found | None:
        """What the folder is; None for no recipe."""
        path = Path(folder)
        file = next((path / each for each in DOCKERFILES if each in names), None)
        own = path / "berth.yaml" if "berth.yaml" in names else None
        if ".rp" in names and "docker" in names and (path / ".rp" / "info.json").is_file():
            return Found(path.name, Kind.RP, path, root, path / "docker" / "Dockerfile", own)
        if CONTAINER in names and path.name != "template" and (hooks := _hooks(path)) is not None:
            inner = path / CONTAINER / "berth.yaml" if "berth.yaml" in hooks else None
            return Found(path.name, Kind.WORKSPACE, path, root, None, inner or own, own if inner else None)
        if file is None:
            return None
        kind = Kind.CLUSTER if self.in_cluster(path, file) else Kind.DOCKERFILE
        return Found(path.name, kind, path, root, file, own)

    def in_cluster(self, path: Path, file: Path) -> bool:
        """`projects/NAME`, or a base beside a `projects` that holds recipes."""
        above = str(path.parent)
        if path.parent.name == PROJECTS:
            return True
        if above not in self.clusters:
            projects = _entries(f"{above}/{PROJECTS}")
            self.clusters[above] = any(Path(each.path, file.name).is_file() for each in projects)
        return self.clusters[above]

    def link(self, path: str) -> None:
        """Remember a link to a folder; one that leads nowhere is wrong where projects are."""
        link = Path(path)
        if link.is_dir():
            self.links.append((link, link.resolve()))
        elif link.parent.name == PROJECTS and link.suffix != ".sqsh":
            self.problems.append(
                Problem(
                    file=link, text=f"leads to nothing: {link.readlink()}.", hint="Point it to a project."
                )
            )


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return  # not ours to read: what is below is nobody's recipe here


def _hooks(path: Path) -> set[str] | None:
    """Names in `container/` if it is that of a workspace."""
    names = {entry.name for entry in _entries(str(path / CONTAINER))}
    is_one = bool(names & _HOOK_FILES) or (not names and path.parent.name == "src")
    return names if is_one and (path / CONTAINER).is_dir() else None
