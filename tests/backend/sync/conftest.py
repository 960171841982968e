"""Two homes on one machine: this one, and that of a host behind a real sshd."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from backend import link as links
from backend.config import Config, SyncProfile, SyncRule
from backend.errors import HostError
from backend.link import Link
from backend.sync.engine import Done, HostSync, Wish
from backend.sync.model import Plan
from backend.sync.plan import Options
from tests.backend.sshd import Sshd
from tests.lab import parts


class OneHost:
    """An `Access` to one host; a link that was lost is made anew."""

    def __init__(self, sshd: Sshd) -> None:
        self.sshd = sshd
        self.open: Link | None = None
        self.state = None

    async def link(self, host: str) -> Link:
        if self.open is None:
            self.open = await links.open(self.sshd.host(name=host))
        return self.open

    async def engine(self, host: str) -> object:
        raise HostError("there is none")

    async def close(self) -> None:
        if self.open is not None:
            await self.open.close()
            self.open = None


class World:
    """What a test has."""

    def __init__(self, access: OneHost, here: Path, there: Path) -> None:
        self.access, self.here, self.there = access, here, there

    def profile(self, *rules: SyncRule, **more: object) -> SyncProfile:
        """A profile; without rules: the folder `work` here to the folder `work` there."""
        return SyncProfile(name="test", rules=rules or (self.rule(),), **more)  # type: ignore[arg-type]

    def rule(self, folder: str = "work", **more: object) -> SyncRule:
        ours, theirs = str(self.here / folder), str(self.there / folder)
        if more.get("direction") == "pull":
            ours, theirs = theirs, ours
        return SyncRule(**{"source": ours, "target": theirs, **more})  # type: ignore[arg-type]

    def sync(self, profile: SyncProfile, verb: str = "push", **options: object) -> HostSync:
        tar = bool(options.pop("tar", False))
        wish = Wish(profile, Options(verb, **options), tar=tar)  # type: ignore[arg-type]
        return HostSync(self.access, "box", wish)  # type: ignore[arg-type]

    async def plan(self, profile: SyncProfile, verb: str = "push", **options: object) -> Plan:
        async with self.sync(profile, verb, **options) as sync:
            return await sync.plan()

    async def run(self, profile: SyncProfile, verb: str = "push", **options: object) -> tuple[Plan, Done]:
        async with self.sync(profile, verb, **options) as sync:
            plan = await sync.plan()
            return plan, await sync.apply(plan)


def write(path: Path, text: str | bytes = "text", *, age: float = 100.0) -> Path:
    """A file that was written a while ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    when = path.stat().st_mtime - age
    os.utime(path, (when, when))
    return path


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder and what is in them."""
    return {
        os.fsdecode(os.path.relpath(os.path.join(where, name), folder)): (Path(where) / name).read_bytes()
        for where, _, names in os.walk(folder)
        for name in names
        if not os.path.islink(os.path.join(where, name))
    }


def left_behind(folder: Path) -> list[str]:
    """Names of ours, and of rsync's own, that should not be in a folder."""
    return [
        os.path.join(where, name)
        for where, folders, names in os.walk(folder)
        for name in [*folders, *names]
        if name.startswith(".berth") or (name.startswith(".") and name.count(".") > 2)
    ]


@pytest.fixture
async def world(tmp_path: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    parts.require("rsync")
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    access = OneHost(sshd)
    yield World(access, here, there)
    await access.close()


__all__ = ["Callable", "Config", "World", "files", "left_behind", "world", "write"]
