"""A folder that a test fills with recipes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.config.schema import Config, ImageSettings, Settings
from backend.recipes.discover import read
from backend.recipes.graph import RecipeGraph
from backend.recipes.model import Overrides, Rendered
from backend.recipes.render import render
from backend.recipes.staging import staging

CUDA = "nvidia/cuda:11.8.0-devel-ubuntu22.04"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJmTz0SdMc2HAyGkL3pLjYJYk0mQ0V0eZ1mPpTq2bJqA alice@laptop\n"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


class Repo:
    """Files, and what berth makes of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes = "", mode: int = 0o644) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(mode)
        return file

    def layer(self, name: str, base: str = "", more: str = "") -> None:
        """A member of a stack."""
        self.write(f"images/{name}/Dockerfile", f"ARG baseimage\nFROM ${{baseimage}}\n{more}")
        if base:
            self.write(f"images/{name}/berth.yaml", f"base: {base}\n")

    def config(self, *roots: str) -> Config:
        named = tuple(str(self.path / root) for root in roots) or (str(self.path),)
        images = ImageSettings(roots=named, maintainer="xvdp")
        return Config(directory=self.path / "config", settings=Settings(images=images))

    def graph(self, *roots: str, **said: object) -> RecipeGraph:
        return read(self.config(*roots), overrides=Overrides(**said) if said else None)  # type: ignore[arg-type]

    def problems(self, *roots: str) -> list[str]:
        """What is wrong, with the repository's own path cut off."""
        said = [f"{each} {each.hint}".strip() for each in self.graph(*roots).problems]
        return [line.replace(f"{self.path}/", "") for line in said]

    async def render(self, name: str, into: Path, **options: object) -> Rendered:
        """A recipe and all it stands on."""
        graph = self.graph(**options.pop("said", {}))  # type: ignore[arg-type]
        done: dict[str, Rendered] = {}
        for level in graph.order([name]):
            for recipe in level:
                own = options if recipe.name == name else {}
                done[recipe.name] = await render(recipe, graph=graph, parents=done, into=into, **own)  # type: ignore[arg-type]
        return done[graph.find(name).name]


def tree_hash(folder: Path) -> str:
    """Of everything in a folder that a person could see change: names, kinds, modes, times, content."""
    found = hashlib.sha256()
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *files, "."]):
            path = Path(here, name)
            status = path.lstat()
            found.update(f"{path}\0{status.st_mode}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\0".encode())
            if stat.S_ISREG(status.st_mode):
                found.update(path.read_bytes())
            elif stat.S_ISLNK(status.st_mode):
                found.update(os.fsencode(os.readlink(path)))
    return found.hexdigest()


def names(folder: Path) -> list[str]:
    """Files of a context."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "repo").mkdir()
    return Repo(tmp_path / "repo")


@pytest.fixture
async def into(repo: Repo) -> AsyncIterator[Path]:
    async with staging() as place:
        yield place
