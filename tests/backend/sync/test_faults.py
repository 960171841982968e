"""What goes wrong, goes wrong so that nothing is lost and the next sync mends it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import ActionFailed, BerthError
from backend.sync import looking
from backend.sync.engine import HostSync
from tests.backend.sshd import children, descendants, kill
from tests.backend.sync.conftest import World, files, left_behind, write

BIG = 48 * 1024**2
PATIENCE = 60.0


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def growing(folder: Path) -> bool:
    """Whether a file is on its way there."""
    return any(
        name.startswith(".big.") and (folder / name).stat().st_size > 100_000
        for name in (os.listdir(folder) if folder.is_dir() else ())
    )


async def test_a_link_that_is_lost_leaves_the_old_files_and_the_rerun_finishes(world: World) -> None:
    write(world.here / "work/big", os.urandom(BIG))
    write(world.here / "work/small", "new", age=1)
    write(world.there / "work/big", "the old one", age=5000)
    write(world.there / "work/gone here", age=5000)
    profile = world.profile(world.rule(delete=True))
    async with world.sync(profile) as sync:
        plan = await sync.plan()
        task = asyncio.create_task(sync.apply(plan))
        await until(lambda: growing(world.there / "work") or task.done())
        assert not task.done(), task.exception()
        for pid in world.access.sshd.sessions():
            for each in descendants(pid):
                kill(each, signal.SIGTERM)
            kill(pid)
        with pytest.raises(BerthError):
            await task
    assert (world.there / "work/big").read_bytes() == b"the old one"
    assert (world.there / "work/gone here").exists()
    await world.access.close()
    _, done = await world.run(profile)
    assert done.failed == []
    assert files(world.there / "work") == files(world.here / "work")
    assert left_behind(world.there) == []


async def test_a_cancel_leaves_nothing(world: World) -> None:
    write(world.here / "work/big", os.urandom(BIG))
    async with world.sync(world.profile()) as sync:
        task = asyncio.create_task(sync.apply(await sync.plan()))
        await until(lambda: growing(world.there / "work") or task.done())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not (world.there / "work/big").exists()
    _, done = await world.run(world.profile())
    assert done.failed == []
    assert left_behind(world.there) == []


SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.backend.sync.conftest import OneHost, World
from backend.config import HostConfig
import backend.link as links

class Access(OneHost):
    def __init__(self, host):
        self.host, self.open, self.state = host, None, None
    async def link(self, name):
        self.open = self.open or await links.open(self.host)
        return self.open

async def main():
    here, there, port, key, known = sys.argv[1:6]
    host = HostConfig(name="box", host="127.0.0.1", sshport=int(port), username="root",
                      identity_file=Path(key), known_hosts=Path(known))
    world = World(Access(host), Path(here), Path(there))
    await world.run(world.profile(world.rule(delete=True)))

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["lock", "way", "growing", "kept"])
async def test_kill_9_at_any_point_leaves_nothing_that_the_next_run_does_not_mend(
    world: World, point: str
) -> None:
    write(world.here / "work/big", os.urandom(BIG))
    for number in range(300):
        write(world.here / f"work/sub/{number}", f"new {number}", age=10)
        write(world.there / f"work/sub/{number}", "old", age=5000)
    write(world.there / "work/gone here", age=5000)
    state = world.access.sshd.home / ".local/state/berth/sync"
    reached: dict[str, Callable[[], object]] = {
        "lock": lambda: list(state.glob("locks/*")),
        "way": lambda: list(state.glob("runs/*/way")),
        "growing": lambda: growing(world.there / "work"),
        "kept": lambda: list(state.glob("runs/*/kept/*/*/sub/*")),
    }
    sshd = world.access.sshd
    argv = [str(world.here), str(world.there), str(sshd.port), str(sshd.user_key), str(sshd.known_hosts)]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *argv], cwd=Path(__file__).parents[3])
    try:
        await until(lambda: reached[point]() or process.poll() is not None)
        below = descendants(process.pid)
        process.kill()
        process.wait()
        await until(lambda: not any(_runs(pid) for pid in below))
    finally:
        process.kill()
        process.wait()
    await until(lambda: not any(descendants(pid) for pid in children(os.getpid()) if pid == process.pid))
    profile = world.profile(world.rule(delete=True))
    async with asyncio.timeout(PATIENCE):
        while True:  # the host may take a moment to see that we are gone, and writes what came before
            try:
                _, done = await world.run(profile)
            except ActionFailed as error:
                assert "is syncing there now" in str(error)
                continue
            if not done.failed:
                break
            assert "changed there since" in done.failed[0]
    assert done.failed == []
    assert files(world.there / "work") == files(world.here / "work")
    assert left_behind(world.there) == []
    assert list(state.glob("locks/*")) == []
    assert list(state.glob("runs/*/way")) == []


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


async def test_names_of_all_kinds(world: World) -> None:
    names = [
        *(
            b"new\nline",
            b"-rf",
            b"--delete",
            b" space ",
            b"'quote\"",
            b"#comment",
            b";semicolon",
            b"*",
            b"?[x]",
        ),
        *(
            b"\xff\xfe",
            b"\\back\\slash",
            b"a\tb",
            b"\xc3\xbc",
            b"$(touch x)",
            b"{a,b}",
            b"~",
            b"x" * 240,
            b":colon",
        ),
    ]
    for name in names:
        for folder in (b"work", b"work/" + name[:100] + b" dir"):
            path = os.path.join(os.fsencode(world.here), folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(name)
    _, done = await world.run(world.profile())
    assert done.failed == []
    assert len(files(world.there / "work")) == 2 * len(names)
    assert files(world.there / "work") == files(world.here / "work")
    assert (await world.plan(world.profile())).changes == ()
    back = world.profile(world.rule(direction="pull"))
    shutil.rmtree(world.here / "work")
    await world.run(back, "pull")
    assert files(world.here / "work") == files(world.there / "work")
    profile = world.profile(world.rule(delete=True))
    for name in names[1:]:
        os.unlink(os.path.join(os.fsencode(world.here), b"work", name))
    _, done = await world.run(profile)
    assert (done.deleted, done.failed) == (len(names) - 1, [])
    assert files(world.there / "work") == files(world.here / "work")


@pytest.mark.parametrize("links", ["keep", "follow", "skip"])
async def test_links_that_lead_round_in_a_circle(world: World, links: str) -> None:
    write(world.here / "work/a/file")
    (world.here / "work/a/up").symlink_to("..")
    (world.here / "work/self").symlink_to("self")
    (world.here / "work/b").symlink_to("a")
    _, done = await world.run(world.profile(world.rule(links=links)))
    assert done.failed == []
    there = world.there / "work"
    assert (there / "a/file").read_text() == "text"
    if links == "keep":
        assert os.readlink(there / "a/up") == ".."
    else:
        assert not (there / "self").exists()
        assert not os.path.lexists(there / "a/up")
    assert (there / "b/file").exists() == (links != "skip")
    assert (there / "b").is_symlink() == (links == "keep")


async def test_a_file_that_changes_while_it_is_sent_is_sent_again(world: World) -> None:
    file = write(world.here / "work/log", b"x" * 1000)
    async with world.sync(world.profile()) as sync:
        plan = await sync.plan()
        with file.open("ab") as more:
            more.write(b"y" * 500)
        done = await sync.apply(plan)
    assert done.failed == []
    again, done = await world.run(world.profile())
    assert [each.kind for each in again.changes] in ([], ["changed"])
    assert done.failed == []
    assert (await world.plan(world.profile())).changes == ()
    assert (world.there / "work/log").read_bytes() == file.read_bytes()


async def test_what_changes_there_between_look_and_transfer_is_left_alone(world: World) -> None:
    write(world.here / "work/a", "mine", age=10)
    write(world.there / "work/a", "old", age=5000)
    async with world.sync(world.profile()) as sync:
        plan = await sync.plan()
        write(world.there / "work/a", "just written", age=0)
        done = await sync.apply(plan)
    assert "changed there since" in done.failed[0]
    assert (world.there / "work/a").read_text() == "just written"


async def test_clocks_an_hour_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write(world.here / "work/a", "mine", age=600)
    write(world.there / "work/a", "theirs!", age=60)
    write(world.here / "work/far", "mine", age=60)
    write(world.there / "work/far", "theirs!", age=90_000)
    original = looking.look

    async def hour_ahead(side, which, *rest):  # type: ignore[no-untyped-def]
        seen, clock = await original(side, which, *rest)
        return seen, clock + 3600 if which == "there" else clock

    monkeypatch.setattr("backend.sync.engine.look", hour_ahead)
    plan, _ = await world.run(world.profile())
    assert round(plan.skew / 60) == 60
    kinds = {each.path: each.kind for each in plan.changes}
    assert kinds == {b"a": "conflict", b"far": "changed"}
    assert "clocks" in next(each.note for each in plan.changes if each.kind == "conflict")
    write(world.here / "work/far", "again", age=4000)
    plan, _ = await world.run(world.profile())
    assert (world.there / "work/far").read_text() == "again", "the record tells, not the clocks"


async def test_no_room_is_said_before_anything_is_sent(world: World) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(world.there)], check=False
    ).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        write(world.there / "work/old", age=5000)
        write(world.here / "work/big", os.urandom(3 * 1024**2))
        with pytest.raises(ActionFailed, match="no room") as error:
            await world.run(world.profile())
        assert "Free some space" in error.value.hint
        assert os.listdir(world.there / "work") == ["old"]
    finally:
        subprocess.run(["umount", str(world.there)], check=True)


async def test_a_disk_that_fills_up_on_the_way(world: World) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=40", "none", str(world.there)], check=False
    ).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        write(world.there / "work/old", age=5000)
        for number in range(60):
            write(world.here / f"work/{number}", str(number))
        with pytest.raises(ActionFailed, match="No space left") as error:
            await world.run(world.profile(world.rule(delete=True)))
        assert "Free some space" in error.value.hint
        assert (world.there / "work/old").exists(), "nothing goes before the rest has arrived"
        subprocess.run(["mount", "-o", "remount,nr_inodes=400", str(world.there)], check=True)
        _, done = await world.run(world.profile(world.rule(delete=True)))
        assert done.failed == []
        assert files(world.there / "work") == files(world.here / "work")
        assert left_behind(world.there) == []
    finally:
        subprocess.run(["umount", str(world.there)], check=True)


async def test_a_home_that_cannot_be_written(world: World) -> None:
    world.access.sshd.stop()
    world.access.sshd.options["SetEnv"] = "HOME=/proc"
    world.access.sshd.start()
    write(world.here / "work/a", "new", age=1)
    write(world.there / "work/a", "old", age=5000)
    _, done = await world.run(world.profile())
    assert (done.failed, done.kept) == ([], 1)
    assert (world.there / "work/a").read_text() == "new"
    assert (await world.plan(world.profile())).changes == ()


async def test_a_target_that_cannot_be_written(world: World) -> None:
    write(world.here / "work/a")
    rule = world.rule()
    from msgspec.structs import replace

    world.access.sshd.stop()
    world.access.sshd.options["SetEnv"] = "HOME=/proc"
    world.access.sshd.start()
    with pytest.raises(ActionFailed, match="/proc/work"):
        await world.run(world.profile(replace(rule, target="/proc/work")))


async def test_no_rsync_there_says_how_to_get_it_and_the_slower_way_works(
    world: World, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python3", "sh", "bash"):
        found = sys.executable if name == "python3" else shutil.which(name)
        assert found
        (programs / name).symlink_to(os.path.realpath(found))
    world.access.sshd.stop()
    world.access.sshd.options["SetEnv"] = f"PATH={programs} HOME={world.access.sshd.home}"
    world.access.sshd.start()
    write(world.here / "work/a b")
    write(world.there / "work/a b", "old", age=5000)
    with pytest.raises(ActionFailed, match="box has no rsync") as error:
        await world.run(world.profile())
    assert "apt install rsync" in error.value.hint
    assert "--tar" in error.value.hint
    _, done = await world.run(world.profile(), tar=True)
    assert (done.failed, done.kept) == ([], 1)
    assert files(world.there / "work") == files(world.here / "work")


async def test_two_berths_at_the_same_profile(world: World) -> None:
    write(world.here / "work/a")
    async with world.sync(world.profile()) as first, world.sync(world.profile()) as second:
        plan, same = await first.plan(), await second.plan()
        await first.receiver("push").ask(
            "lock", targets=[str(world.there / "work")], owner="alice at desk (profile test)"
        )
        with pytest.raises(ActionFailed, match=r"alice at desk .profile test. is syncing there now"):
            await second.apply(same)
        await first.receiver("push").ask("unlock")
        done = await second.apply(same)
        assert done.new == 1
        done = await first.apply(plan)
        assert "changed there since" in done.failed[0]


async def test_the_host_part_ends_with_its_link(world: World) -> None:
    write(world.here / "work/a")
    sync: HostSync = world.sync(world.profile())
    async with sync:
        await sync.plan()
        before = [pid for each in world.access.sshd.sessions() for pid in descendants(each)]
        assert before
    await until(lambda: not any(_runs(pid) and _is_ours(pid) for pid in before))


def _is_ours(pid: int) -> bool:
    try:
        return b"zlib" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
