"""--watch: what changes here goes over, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from backend.sync.engine import Wish
from backend.sync.following import Follower
from backend.sync.plan import Options
from backend.sync.watch import Inbox, Watch
from tests.backend.sshd import kill
from tests.backend.sync.conftest import World, files, write


class Yes:
    """A person who agrees."""

    asked = 0

    async def confirm(self, question: str) -> bool:
        self.asked += 1
        return True


@asynccontextmanager
async def watching(world: World, **rule: object) -> AsyncIterator[Yes]:
    """Until the first full look is over."""
    person = Yes()
    wish = Wish(world.profile(world.rule(**rule)), Options("push"))
    watch = Watch(world.access, ["box"], wish, Follower(wish, person, json=True))  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    marker = write(world.here / "work/.marker", str(time.time()), age=0)
    try:
        await until(lambda: (world.there / "work/.marker").exists() or task.done())
        assert not task.done(), task.exception()
        marker.unlink()
        await asyncio.sleep(0)
        yield person
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def there(world: World) -> dict[str, bytes]:
    try:
        found = files(world.there / "work") if (world.there / "work").is_dir() else {}
    except FileNotFoundError:
        return {}  # gone while we looked: look again
    return {name: text for name, text in found.items() if name != ".marker" and name.count(".") < 2}


async def test_an_edit_a_new_folder_and_a_rename_go_over(world: World) -> None:
    write(world.here / "work/a", "one")
    async with watching(world):
        write(world.here / "work/a", "two", age=0)
        await until(lambda: there(world) == {"a": b"two"})
        (world.here / "work/new/deep").mkdir(parents=True)
        write(world.here / "work/new/deep/b", "b", age=0)
        await until(lambda: there(world).get("new/deep/b") == b"b")
        os.rename(world.here / "work/new", world.here / "work/moved")
        await until(lambda: there(world).get("moved/deep/b") == b"b")
        assert "new/deep/b" in there(world), "nothing is deleted unless the rule says so"


async def test_deletions_are_passed_on_where_the_rule_says_so(world: World) -> None:
    write(world.here / "work/a")
    write(world.here / "work/b")
    async with watching(world, delete=True) as person:
        (world.here / "work/a").unlink()
        await until(lambda: there(world) == {"b": b"text"})
        assert person.asked == 1, "once, at the start"


async def test_a_flood_of_deletions_is_not(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(60):
        write(world.here / f"work/{number}")
    write(world.here / "work/stays")
    said = ""
    async with watching(world, delete=True):
        for number in range(60):
            (world.here / f"work/{number}").unlink()

        def refused() -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return "files are gone here at once" in said

        await until(refused)
        assert len(there(world)) > 30


async def test_a_lost_link_is_made_up_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    write(world.here / "work/a", "one")
    async with watching(world):
        world.access.sshd.stop()
        for pid in world.access.sshd.sessions():
            kill(pid)
        if world.access.open is not None:
            await world.access.open.close()
        world.access.open = None
        write(world.here / "work/a", "while it was away", age=0)
        await asyncio.sleep(0)
        world.access.sshd.start()
        await until(lambda: there(world) == {"a": b"while it was away"})
        assert world.access.sshd.sessions(), "by a new connection, as the old one is gone"


def test_an_inbox_gives_paths_or_everything() -> None:
    inbox = Inbox(2)
    assert inbox.take() is None, "first everything"
    inbox.add(0, b"a")
    inbox.add(0, b"a")
    inbox.add(1, b"b")
    assert inbox.take() == {0: [b"a"], 1: [b"b"]}
    assert not inbox.news.is_set()
    for number in range(2000):
        inbox.add(0, b"%d" % number)
    assert inbox.take() is None, "so many that a full look is quicker"
    inbox.all()
    assert inbox.news.is_set()
    assert inbox.take() is None
