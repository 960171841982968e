"""The first push of a tree, for which rsync looks by itself: it carries what the list would have said."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.sync import ahead
from backend.sync.engine import HostSync
from backend.sync.model import Plan
from backend.sync.transfer import Load
from tests.backend.sync.conftest import World, files, left_behind, write

SECRET = {"secret": True}


@pytest.fixture(autouse=True)
def just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(ahead, "_JUST_NOW", 600.0)


def load_of(sync: HostSync, plan: Plan) -> Load | None:
    return ahead.whole_tree(sync, plan.of("new", "changed", "deleted"))


async def test_it_carries_what_was_shown_and_what_came_since(world: World) -> None:
    odd = os.fsdecode(b"odd \xff\n'name'")
    write(world.here / "work/deep/er/a.py", "one")
    write(world.here / f"work/{odd}", "two")
    write(world.here / "work/.berth-partial/half", "half of a file")
    (world.here / "work/empty").mkdir()
    (world.here / "work/link").symlink_to("deep/er")
    async with world.sync(world.profile()) as sync:
        plan = await sync.plan()
        load = load_of(sync, plan)
        assert load is not None and (load.count, load.size, load.largest) == (6, 6, 3)
        write(world.here / "work/late", "came since")
        done = await sync.apply(plan)
    assert (done.new, done.failed, done.size) == (3, [], 6)
    there = files(world.there / "work")
    assert there == {"deep/er/a.py": b"one", odd: b"two", "late": b"came since"}
    assert (world.there / "work/empty").is_dir() and os.readlink(world.there / "work/link") == "deep/er"
    again, _ = await world.run(world.profile())
    assert (again.changes, again.same) == ((), 4)


async def test_what_came_to_the_target_since_is_left_alone(world: World) -> None:
    write(world.here / "work/a", "ours")
    write(world.here / "work/b", "ours")
    async with world.sync(world.profile()) as sync:
        plan = await sync.plan()
        assert load_of(sync, plan) is not None
        write(world.there / "work/a", "theirs")
        done = await sync.apply(plan)
    assert files(world.there / "work") == {"a": b"theirs", "b": b"ours"}
    assert "changed there since" in done.failed[0] and left_behind(world.there) == []


async def test_what_was_shown_a_while_ago_goes_by_its_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(world.here / "work/shown", "one")
    async with world.sync(world.profile()) as sync:
        plan = await sync.plan()
        sync.here.looked_at -= 601.0
        write(world.here / "work/late", "nobody saw it")
        await sync.apply(plan)
    assert files(world.there / "work") == {"shown": b"one"}


def special(work: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(work / "socket"))


def circle(work: Path) -> None:
    (work / "round").symlink_to(".")


def nothing(_: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ({"filter": ("- *.o",)}, nothing),
        ({"max_size": 100}, nothing),
        ({"links": "skip"}, nothing),
        ({"links": "follow"}, circle),
        ({"mode": 0o755}, nothing),
        (SECRET, nothing),
        ({}, special),
    ],
)
async def test_what_needs_a_list_gets_one(
    world: World, monkeypatch: pytest.MonkeyPatch, rule: dict[str, Any], more: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(world.here)
    if rule == SECRET:
        (world.there / "work").mkdir(mode=0o700)
    write(world.here / "work/a.c", "a")
    write(world.here / "work/a.o", "b" * 200)
    more(world.here / "work")
    async with world.sync(world.profile(world.rule(**rule))) as sync:
        plan = await sync.plan()
        assert load_of(sync, plan) is None
        await sync.apply(plan)
    left_out = {"a.o"} if rule.keys() & {"filter", "max_size"} else set()
    assert files(world.there / "work").keys() == {"a.c", "a.o"} - left_out


async def test_a_target_inside_the_source_gets_a_list(world: World) -> None:
    """rsync would find there what it has just written."""
    write(world.here / "work/a", "a")
    inside = world.rule(target=str(world.here / "work/copy"))
    async with world.sync(world.profile(inside)) as sync:
        plan = await sync.plan()
        assert load_of(sync, plan) is None
        await sync.apply(plan)
    assert files(world.here / "work") == {"a": b"a", "copy/a": b"a"}


async def test_a_tree_of_which_something_is_there_gets_a_list(world: World) -> None:
    write(world.here / "work/a", "a")
    write(world.there / "work/other", "b")
    async with world.sync(world.profile()) as sync:
        assert load_of(sync, await sync.plan()) is None
    (world.there / "work/other").unlink()
    async with world.sync(world.profile()) as sync:
        plan = await sync.plan()
        assert load_of(sync, plan) is not None
        assert load_of(sync, await sync.plan({0: [b"a"]})) is None  # of some paths nobody knows the rest
    async with world.sync(world.profile(), tar=True) as sync:
        assert load_of(sync, await sync.plan()) is None
