"""pushdir and pulldir: one folder takes the place of another, when all of it has arrived."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from backend.config import Config, HostConfig, SyncProfile, SyncRule
from backend.errors import ActionFailed, BerthError, UsageError
from backend.sync import words
from backend.sync.engine import Done, Wish
from backend.sync.folder import FolderSync, as_folders, rule_of
from backend.sync.history import undo
from backend.sync.many import Many
from backend.sync.model import Plan, Way
from backend.sync.plan import Options
from tests.backend.sshd import descendants, kill
from tests.backend.sync.conftest import World, files, left_behind, write


def folder(world: World, verb: Way = "push") -> FolderSync:
    here, there = str(world.here / "work"), str(world.there / "work")
    source, target = (here, there) if verb == "push" else (there, here)
    rule = SyncRule(source=source, target=target, direction=verb, delete=True, update=False)
    return FolderSync(world.access, "box", Wish(SyncProfile(name=f"{verb}dir", rules=(rule,)), Options(verb)))  # type: ignore[arg-type]


class Asked:
    """A `Front` that says the same to every question."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.plans: list[Plan] = []

    def planned(self, host: str, plan: Plan) -> None: ...

    def progress(self, host: str, done: int, total: int) -> None: ...

    async def agree(self, plans: Sequence[Plan]) -> bool:
        self.plans += plans
        return self.answer


async def replaced(world: World, verb: Way = "push") -> Done:
    async with folder(world, verb) as sync:
        return await sync.apply(await sync.plan())


async def test_the_folder_is_replaced_and_can_be_had_back(world: World) -> None:
    write(world.here / "work/new", "new")
    write(world.here / "work/same", "same", age=500)
    write(world.there / "work/gone", "gone")
    write(world.there / "work/.hidden", "gone too")
    before = files(world.there / "work")
    done = await replaced(world)
    assert files(world.there / "work") == files(world.here / "work")
    assert (done.new, done.deleted) == (2, 2)
    async with folder(world) as sync:
        assert await undo(sync, done.run, "push") == (1, [])
    assert files(world.there / "work") == before
    assert left_behind(world.there) == [str(world.there / "work/.hidden")][:0]


async def test_what_was_written_since_is_not_lost_by_an_undo(world: World) -> None:
    write(world.here / "work/deep/new", "new")
    write(world.there / "work/gone", "gone")
    for name in ("work/result", "work/deep/result", "work/deep/new"):
        done = await replaced(world)
        write(world.there / name, "hours of work")
        async with folder(world) as sync:
            back, stay = await undo(sync, done.run, "push")
        assert back == 0 and "changed since" in stay[0]
        assert (world.there / name).read_text() == "hours of work"
    async with folder(world) as sync:
        assert await undo(sync, done.run, "push", force=True) == (1, [])


async def test_pulldir(world: World) -> None:
    write(world.there / "work/a", "theirs")
    write(world.here / "work/mine only", "mine")
    await replaced(world, "pull")
    assert files(world.here / "work") == {"a": b"theirs"}


async def test_what_is_the_same_is_not_touched(world: World) -> None:
    write(world.here / "work/a")
    await replaced(world)
    inode = (world.there / "work").stat().st_ino
    done = await replaced(world)
    assert (done.new, done.changed, done.run) == (0, 0, "")
    assert (world.there / "work").stat().st_ino == inode


@pytest.mark.parametrize("verb", ["push", "pull"])
@pytest.mark.parametrize("agreed", [True, False])
async def test_nothing_is_replaced_for_good_unless_that_is_agreed_to(
    world: World, verb: Way, agreed: bool
) -> None:
    """Also where not one file would be deleted; what counts is how large the old ones are."""
    old = world.there if verb == "push" else world.here
    write(old / "work/a", "x" * 2000, age=900)
    write((world.here if verb == "push" else world.there) / "work/a", "new")
    sync = folder(world, verb)
    profile = replace(sync.wish.profile, keep_size=1000)
    config = Config(directory=world.here, hosts=(HostConfig(name="box", host="127.0.0.1"),))
    many = Many(config, world.access, ["box"], Wish(profile, sync.wish.options))  # type: ignore[arg-type]
    as_folders(many)
    front = Asked(agreed)
    async with many:
        (result,) = await many.run(front)
    (plan,) = front.plans
    place = "box" if verb == "push" else "this machine"
    why = f"replacing {old}/work cannot be undone: 2.0 K are more than keep_size"
    assert words.question([plan]) == f"Replace the folder on {place} ({why})?"
    assert why in words.summary(plan)
    if agreed:
        assert (result.error, result.run, result.changed) == (None, "", 1)
        assert files(old / "work") == {"a": b"new"}
    else:
        assert result.exit_code == 5
        assert files(old / "work") == {"a": b"x" * 2000}
    assert left_behind(old) == []


async def test_what_can_be_kept_is_not_asked_about(world: World) -> None:
    write(world.there / "work/a", "x" * 2000, age=900)
    write(world.here / "work/a", "new")
    async with folder(world) as sync:
        assert not (await sync.plan()).asks


@pytest.mark.parametrize("verb", ["push", "pull"])
async def test_nothing_is_undone_while_somebody_syncs_there(world: World, verb: Way) -> None:
    source, target = (world.here, world.there) if verb == "push" else (world.there, world.here)
    write(source / "work/new", "new")
    write(target / "work/old", "old")
    done = await replaced(world, verb)
    async with folder(world, verb) as other, folder(world, verb) as sync:
        await other.side()
        await other.receiver(verb).ask("lock", targets=[str(target / "work")], owner="ann at laptop")
        with pytest.raises(ActionFailed, match="ann at laptop is syncing there now"):
            await undo(sync, done.run, verb, force=True)
        assert files(target / "work") == {"new": b"new"}
        await other.receiver(verb).ask("unlock")
        assert await undo(sync, done.run, verb) == (1, [])
        await other.receiver(verb).ask("lock", targets=[str(target / "work")], owner="it is free again")
    assert files(target / "work") == {"old": b"old"}


async def test_a_lost_link_leaves_the_old_folder_whole(world: World) -> None:
    write(world.here / "work/big", os.urandom(48 * 1024**2))
    write(world.there / "work/old", "old")
    async with folder(world) as sync:
        task = asyncio.create_task(sync.apply(await sync.plan()))
        staged = world.there / ".berth-new-work"
        async with asyncio.timeout(60):
            while not (staged.is_dir() and os.listdir(staged)):
                assert not task.done(), task.exception()
                await asyncio.sleep(0.005)
        for pid in world.access.sshd.sessions():
            for each in descendants(pid):
                kill(each, signal.SIGTERM)
            kill(pid)
        with pytest.raises(BerthError):
            await task
    assert files(world.there / "work") == {"old": b"old"}
    await world.access.close()
    await replaced(world)
    assert files(world.there / "work") == files(world.here / "work")
    assert not staged.exists()


async def test_an_empty_source_replaces_nothing(world: World) -> None:
    (world.here / "work").mkdir()
    write(world.there / "work/precious")
    with pytest.raises(BerthError, match="is it mounted"):
        await replaced(world)
    assert (world.there / "work/precious").exists()


def test_how_a_folder_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    assert rule_of("work/x").source == "work/x"
    assert rule_of("~/train/x/").source == "train/x"
    assert rule_of("./b").source == "a/b"
    assert rule_of(".").source == "a"
    assert rule_of("/data/x").source == "/data/x"
    for wrong in ("~", "/", "..", "/data"):
        with pytest.raises(UsageError):
            rule_of(wrong)
