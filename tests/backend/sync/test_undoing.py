"""Undo on all hosts of a sync, on a host whose home is read-only, and how much is kept for it."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from backend.config import Config, SyncProfile, SyncRule, load
from backend.errors import NoSuchTarget, Refused
from backend.sync.engine import Wish
from backend.sync.folder import FolderSync
from backend.sync.history import past, remember
from backend.sync.many import Many
from backend.sync.model import HostResult
from backend.sync.plan import Options
from backend.sync.undoing import Taken, meant, question, take_back
from tests.backend.sync.conftest import World, files, write
from tests.backend.sync.test_folder import Asked


def result(host: str, run: str, batch: str = "") -> HostResult:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return HostResult(host=host, profile="code", ok=True, run=run, batch=batch, started_at=at, changed=2)


def test_the_latest_sync_is_undone_on_all_its_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    with pytest.raises(NoSuchTarget, match="replaced or deleted"):
        meant("")
    remember([result("a", "1"), result("a", "2", "x"), result("b", "3", "x"), result("c", "", "x")])
    assert [each.run for each in meant("")] == ["3", "2"]
    assert "with b, a, which replaced 4" in question(meant(""))
    assert [each.run for each in meant("", ["a"])] == ["2"]
    assert [each.run for each in meant("x")] == ["3", "2"]
    assert [each.run for each in meant("1")] == ["1"]
    remember([result("a", "4")])
    assert [each.run for each in meant("")] == ["4"]
    with pytest.raises(NoSuchTarget, match="'9'"):
        meant("9")


async def back(world: World, config: Config, answer: bool = True) -> list[Taken]:
    async def agree(text: str) -> bool:
        return answer

    return await take_back(config, world.access, meant(""), force=False, agree=agree)  # type: ignore[arg-type]


async def test_a_read_only_home_keeps_it_in_the_target(world: World) -> None:
    world.access.sshd.stop()
    world.access.sshd.options["SetEnv"] = "HOME=/proc/self/nothing"
    world.access.sshd.start()
    config = Config(directory=world.here, hosts=(world.access.sshd.host(),))
    wish = Wish(world.profile(), Options("push"))
    for text, age in (("first", 1000), ("second", 10)):
        write(world.here / "work/a", text, age=age)
        async with Many(config, world.access, ["box"], wish) as many:  # type: ignore[arg-type]
            (done,) = await many.run(Asked(True))
            assert done.ok, done
    assert (world.there / "work/.berth-sync").is_dir()
    assert past()[0].kept_at == {"push": str(world.there / "work")}
    with pytest.raises(Refused):
        await back(world, config, answer=False)
    (taken,) = await back(world, config)
    assert (taken.back, taken.left, taken.exit_code) == (1, (), 0), taken
    assert (world.there / "work/a").read_text() == "first"
    with pytest.raises(NoSuchTarget):
        meant("")


async def test_old_folders_count_for_what_is_kept_and_the_newest_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = iter(f"20260101T000000-{letter}{secrets.token_hex(3)}" for letter in "cba")  # clocks differ
    monkeypatch.setattr("backend.sync.folder.new_run", lambda: next(runs))
    write(world.there / "work/large", "x" * 5000, age=500)
    write(world.here / "work/large", "x" * 5000, age=500)
    when = (world.there / "work/large").stat()
    rule = SyncRule(
        source=str(world.here / "work"), target=str(world.there / "work"), delete=True, update=False
    )
    profile = SyncProfile(name="pushdir", rules=(rule,), keep_size=1000)

    async def pushed(text: str, **more: object) -> None:
        write(world.here / "work/small", text, age=1)
        os.utime(world.here / "work/large", ns=(when.st_mtime_ns, when.st_mtime_ns))
        wish = Wish(replace(profile, **more), Options("push"))  # type: ignore[arg-type]
        async with FolderSync(world.access, "box", wish) as sync:  # type: ignore[arg-type]
            plan = await sync.plan()
            assert bool(plan.final) is ("keep_days" in more)
            await sync.apply(plan)

    def kept() -> list[dict[str, bytes]]:
        return [files(each) for each in world.there.glob(".berth-kept-*")]

    await pushed("one")
    assert [sorted(each) for each in kept()] == [["large"]]
    await pushed("two")
    assert [each["small"] for each in kept()] == [b"one"], "two old folders are more than keep_size"
    await pushed("three", keep_days=0.0)
    assert kept() == []


def test_what_is_kept_is_said_once_for_all(tmp_path: Path) -> None:
    (tmp_path / "sync.yaml").write_text(
        "keep_size: 20g\nkeep_days: 3\nprofiles:\n"
        "  one: {rules: [{source: a}]}\n  two: {keep_size: 1g, rules: [{source: b}]}\n"
    )
    config = load(tmp_path)
    assert (config.keeping.keep_size, config.keeping.keep_days) == (20 * 1024**3, 3)
    kept = {each.name: (each.keep_size, each.keep_days) for each in config.profiles}
    assert kept["one"] == kept["push"] == (20 * 1024**3, 3)
    assert kept["two"] == (1024**3, 3)
