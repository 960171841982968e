"""Real watches on this machine, over a link to it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from backend.actions import load
from backend.actions.context import ActionContext
from backend.config import Config, HostConfig
from backend.errors import ActionFailed, NoSuchTarget
from backend.link import Completed
from backend.link.local import LocalLink
from backend.ownership import work
from backend.ownership.asking import ask
from tests.backend.sshd import descendants
from tests.lab import parts

NOBODY = 65534


class Desk:
    """A shared folder, and what is asked about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.shared = folder / "shared"
        self.link: Any = LocalLink("local")
        self.home.mkdir()
        self.shared.mkdir()

    def wanted(self, owner: str = "nobody", group: str = "", mode: str = "u+rwX") -> dict[str, Any]:
        return work.request(Config(directory=self.folder), [str(self.shared)], owner, group, mode)

    async def watch(self, **wanted: str) -> dict[str, Any]:
        return (await ask(self.link, "watch", self.wanted(**wanted)))["watch"]

    async def look(self, do: str, **wanted: str) -> dict[str, Any]:
        return (await ask(self.link, do, self.wanted(**wanted)))["status"]

    def right(self, *names: str) -> bool:
        """Whether these are nobody's."""
        return all(os.lstat(self.shared / name).st_uid == NOBODY for name in names)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    parts.require()
    with tempfile.TemporaryDirectory(prefix="berth-ownership-") as name:  # where others may pass through
        folder = Path(name).resolve()
        folder.chmod(0o755)
        monkeypatch.setenv("HOME", str(folder / "home"))
        desk = Desk(folder)
        yield desk
        await work.stop(LocalLink("local"), [])
        await desk.link.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_comes_in_is_set_right_and_nothing_else_is_touched(desk: Desk) -> None:
    old = desk.shared / "deep/old"
    old.parent.mkdir()
    old.write_text("")
    old.chmod(0o400)
    outside = desk.folder / "outside"
    outside.write_text("")
    trial = await desk.look("try")
    assert trial["changed"] == 3 and trial["samples"][-1] == str(old)
    assert os.stat(old).st_uid == 0, "a trial changes nothing"

    begun = await desk.watch()
    await until(lambda: desk.right(".", "deep", "deep/old"))
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    (desk.shared / "new").write_text("")
    (desk.shared / "a/b/c").mkdir(parents=True)
    (desk.shared / "a/b/c/file").write_text("")
    (desk.shared / "link").symlink_to(outside)
    await until(lambda: desk.right("new", "a", "a/b/c/file", "link"))
    (desk.shared / "a").rename(desk.shared / "deep/moved")
    (desk.shared / "deep/moved/b/later").write_text("")
    await until(lambda: desk.right("deep/moved/b/later"))
    os.chown(desk.shared / "new", 0, 0)
    await until(lambda: desk.right("new"))
    assert outside.stat().st_uid == 0, "no link is followed"

    with pytest.raises(ActionFailed, match="watched already"):
        await desk.watch()
    (row,) = await work.rows(desk.link)
    assert (row.id, row.folders, row.state) == (begun["id"], (str(desk.shared),), "watching")
    assert row.wanted == "nobody:nogroup u+rwX" and row.since
    with pytest.raises(NoSuchTarget, match="nothing called other"):
        await work.stop(desk.link, ["other"])

    (ended,) = await work.stop(desk.link, [str(desk.shared)])
    assert ended.id == begun["id"]
    await until(lambda: not _runs(begun["pid"]))
    assert not (desk.home / ".cache/berth/ownership").exists()
    (desk.shared / "after").write_text("")
    assert (await desk.look("try"))["changed"] == 1, "nobody sets it right any more"

    host = HostConfig(name="local", host="local", local=True)
    access: Any = SimpleNamespace(link=AsyncMock(return_value=desk.link))
    ctx = ActionContext(Config(directory=desk.folder, hosts=(host,)), access, None)
    said = await load()["ownership-stop"].call(ctx, None, host="local", what=())
    assert said == "local: nothing of yours was kept right there"


async def test_what_is_not_only_ours_is_left_alone(desk: Desk) -> None:
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "theirs").write_text("")
    os.link(elsewhere / "theirs", desk.shared / "second-name")
    os.mknod(desk.shared / "device", stat.S_IFBLK | 0o600, os.makedev(7, 250))
    (desk.shared / "mount").mkdir()
    subprocess.run(["mount", "--bind", elsewhere, desk.shared / "mount"], check=True)
    try:
        (desk.shared / "secret").mkdir(mode=0o700)
        (desk.shared / "secret/key").write_text("")
        (desk.shared / "secret/key").chmod(0o600)
        told = await desk.look("once", mode="g+rwX")
        assert sum(told["left"].values()) == 3 and told["changed"] == 3
        assert any("second name" in why for why in told["left"])
        assert any("another mount" in why for why in told["left"])
        assert any("device" in why for why in told["left"])
        assert (elsewhere / "theirs").stat().st_uid == 0
        assert os.lstat(desk.shared / "device").st_uid == 0
        assert desk.right("secret/key")
        assert stat.S_IMODE((desk.shared / "secret/key").stat().st_mode) == 0o600, "secrets stay so"
    finally:
        subprocess.run(["umount", desk.shared / "mount"], check=True)


async def test_what_others_wrote_never_runs_as_whom_it_is_given_to(desk: Desk) -> None:
    """Set-group-id where the group has no x is left by chown(2), and a change of modes adds that x."""
    modes = {"group": 0o2745, "user": 0o4745, "given": 0o2745}
    for name, mode in modes.items():
        (desk.shared / name).write_text("")
        os.chown(desk.shared / name, 1, 1)
        (desk.shared / name).chmod(mode)
    os.chown(desk.shared / "given", NOBODY, NOBODY)
    (desk.shared / "given").chmod(0o2745)
    await desk.look("once", mode="g+rwX")
    assert desk.right(*modes)
    assert {name: stat.S_IMODE((desk.shared / name).stat().st_mode) for name in modes} == dict.fromkeys(
        modes, 0o775
    )


async def test_nobody_leads_it_out_of_the_folder(desk: Desk) -> None:
    """Names that change between folder, link and file while it works as root."""
    outside = desk.folder / "outside"
    outside.mkdir()
    for number in range(20):
        (outside / f"file-{number}").write_text("")
    (desk.folder / "aside").mkdir()
    for number in range(20):
        (desk.folder / f"aside/file-{number}").write_text("")
    trap = desk.shared / "trap"
    (desk.folder / "aside").rename(trap)
    await desk.watch()

    def swap() -> None:
        for turn in range(300):
            trap.rename(desk.shared / "hidden")
            trap.symlink_to(outside)
            (desk.shared / f"x-{turn % 7}").unlink(missing_ok=True)
            (desk.shared / f"x-{turn % 7}").symlink_to(outside / "file-1")
            os.chown(desk.shared / f"hidden/file-{turn % 20}", 0, 0)
            trap.unlink()
            (desk.shared / "hidden").rename(trap)

    await asyncio.to_thread(swap)
    (desk.shared / "last").write_text("")
    await until(lambda: desk.right("last"))
    assert [each.name for each in outside.iterdir() if each.stat().st_uid != 0] == []
    assert outside.stat().st_uid == 0


async def test_who_changes_it_back_wins_after_a_while(desk: Desk) -> None:
    file = desk.shared / "file"
    file.write_text("")
    await desk.watch()
    await until(lambda: desk.right("file"))
    for _ in range(5):
        os.chown(file, 0, 0)
        await until(lambda: desk.right("file"))
    os.chown(file, 0, 0)
    (desk.shared / "later").write_text("")
    await until(lambda: desk.right("later"))
    assert file.stat().st_uid == 0

    async with asyncio.timeout(30):
        while not any("changes it back" in why for row in await work.rows(desk.link) for why in row.why):
            await asyncio.sleep(0.1)


async def test_it_ends_with_its_folder_and_leaves_nothing_when_killed(desk: Desk) -> None:
    begun = await desk.watch()
    workers = descendants(begun["pid"])
    assert workers
    os.kill(begun["pid"], signal.SIGKILL)
    await until(lambda: not any(_runs(pid) for pid in workers))
    assert await work.rows(desk.link) == []
    assert not (desk.home / ".cache/berth/ownership").exists()

    await desk.watch()
    shutil.rmtree(desk.shared)
    async with asyncio.timeout(30):
        while (rows := await work.rows(desk.link))[0].state != "ended":
            await asyncio.sleep(0.05)
    assert rows[0].error == "the folder was deleted"


async def test_another_machine_that_shares_the_home_keeps_its_watches(desk: Desk) -> None:
    """Their process numbers mean other processes here."""
    begun = await desk.watch()
    folder = desk.home / ".cache/berth/ownership"
    theirs = folder / "abc123@elsewhere.lock"
    child = subprocess.Popen(["sleep", "1000"])
    try:
        with theirs.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            said = {**begun, "id": "abc123", "pid": child.pid}
            theirs.with_suffix(".json").write_text(json.dumps(said))
            assert [row.id for row in await work.rows(desk.link)] == [begun["id"]]
            assert [row.id for row in await work.stop(desk.link, [])] == [begun["id"]]
        assert child.poll() is None
        assert await work.rows(desk.link) == [] and theirs.exists()
    finally:
        child.kill()
        child.wait()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Somebody(LocalLink):
    """A login without rights."""

    async def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float) -> Completed:
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return await super().run([*prefix, *argv], input=input, timeout=timeout)


async def test_without_sudo_it_says_what_is_missing_and_does_what_it_may(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(desk.home, NOBODY, NOBODY)
    os.chown(desk.shared, NOBODY, NOBODY)
    (desk.shared / "roots").write_text("")
    desk.link = Somebody("local")
    python = desk.folder / "bin"  # one that anybody may run
    python.mkdir()
    (python / "python3").symlink_to("/usr/bin/python3")
    monkeypatch.setenv("PATH", f"{python}:/usr/bin:/bin")
    with pytest.raises(ActionFailed, match="you are not root there") as caught:
        await desk.watch()
    assert "sudo without a password" in caught.value.hint
    assert not list(desk.home.rglob("*.lock"))

    mine = desk.shared / "mine"
    mine.write_text("")
    os.chown(mine, NOBODY, NOBODY)
    mine.chmod(0o600)
    told = await desk.look("once", owner="keep", mode="g+rw")
    assert stat.S_IMODE(mine.stat().st_mode) == 0o660
    assert told["left"] == {"you may not change it": 1}
    begun = await desk.watch(owner="keep", mode="g+rw")
    assert os.stat(f"/proc/{begun['pid']}").st_uid == NOBODY
    await work.stop(desk.link, [begun["id"]])

    # a sudo that lets us: nothing else changes hands
    (python / "sudo").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    (python / "sudo").chmod(0o755)
    desk.link = LocalLink("local")
    await desk.watch()
    await until(lambda: desk.right("roots"))
