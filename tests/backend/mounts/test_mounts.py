"""Real mounts by the real sshfs, from a real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from backend.access import StandaloneAccess
from backend.config import Config, HostConfig
from backend.errors import ActionFailed, BerthError, NoSuchTarget, UsageError
from backend.mounts import mountinfo, places, records
from backend.mounts.model import MountRow, MountState, Record
from backend.mounts.mounting import mount
from backend.mounts.places import Source
from backend.mounts.unmounting import chosen, unmount
from tests.backend.sshd import Sshd, children, descendants, free_port
from tests.lab import parts


class Desk:
    """A machine that mounts."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self.folder, self.sshd = folder, sshd
        self.there = folder / "there, with 100 %"
        self.there.mkdir()
        (self.there / "file").write_text("hello")
        self.here = folder / "here/mnt"

    async def mount(
        self,
        path: str | None = None,
        folder: Path | None = None,
        host: HostConfig | None = None,
        **more: bool,
    ) -> Record:
        config = Config(directory=self.folder, hosts=(host or self.sshd.host(),))
        async with StandaloneAccess(config) as access:
            source = Source("box", str(self.there) if path is None else path)
            record, _ = await mount(config, access, source, str(folder or self.here), **more)
            return record

    async def row(self) -> MountRow:
        (row,) = await records.rows()
        return row


@pytest.fixture
async def desk(tmp_path: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    parts.require("sshfs", "fusermount3")
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        pytest.skip(f"this kernel mounts nothing: {error}")
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    yield Desk(tmp_path, sshd)
    for row in await records.rows(limit=0.5):
        if row.folder.startswith(f"{tmp_path}/"):
            await unmount(row, force=True)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


def mounted(folder: Path) -> bool:
    return mountinfo.at(str(folder), mountinfo.read()) is not None


async def test_mounted_listed_used_and_ended(desk: Desk) -> None:
    record = await desk.mount()
    assert (desk.here / "file").read_text() == "hello"
    (desk.here / "new").write_text("from here")
    assert (desk.there / "new").read_text() == "from here"
    row = await desk.row()
    assert (row.id, row.path, row.state) == (record.id, str(desk.there), MountState.MOUNTED)
    assert row.total and row.pid and row.since and not row.read_only
    private = records.place(record.id)
    assert private.stat().st_mode & 0o077 == 0 and (private / "ssh_config").stat().st_mode & 0o077 == 0

    assert (await desk.mount()).id == record.id, "the same again changes nothing"
    with pytest.raises(ActionFailed, match="is mounted on"):
        await desk.mount("/")
    with open(desk.here / "file"), pytest.raises(ActionFailed, match="in use by") as caught:
        await unmount(row)
    assert f"berth umount --force {row.id}" in caught.value.hint and mounted(desk.here)

    assert chosen([row], ["box"], stale=False, all=False) == [row]
    assert chosen([row], [str(desk.here)], stale=False, all=False) == [row]
    assert chosen([row], [], stale=True, all=False) == []
    with pytest.raises(NoSuchTarget, match="'nothing'"):
        chosen([row], ["nothing"], stale=False, all=False)
    with pytest.raises(UsageError, match="2 folders of box"):
        chosen([row, replace(row, id="0")], ["box"], stale=False, all=False)

    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", desk.here], check=True)
    try:
        with pytest.raises(ActionFailed, match=r"tmpfs .* is mounted over it"):
            await unmount(row, force=True)
    finally:
        subprocess.run(["umount", desk.here], check=True)  # it is still there, and so is ours
    await unmount(row)
    assert not mounted(desk.here) and await records.rows() == []
    assert not desk.here.exists() and not desk.here.parent.exists(), "what was made for it goes with it"
    assert not private.exists() and records.server(record.id) is None


async def test_the_folder_of_several_mounts_goes_with_the_last_one(desk: Desk) -> None:
    for name in ("one", "two", "three"):
        await desk.mount(folder=desk.here / name)
    for name in ("one", "three", "two"):
        assert desk.here.exists()
        row = next(row for row in await records.rows() if row.folder.endswith(name))
        await unmount(row)
        assert not (desk.here / name).exists()
    assert not desk.here.parent.exists()


async def test_what_cannot_be_mounted_leaves_nothing_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = desk.folder / "full"
    full.mkdir()
    (full / "x").write_text("")
    with pytest.raises(ActionFailed, match="not empty"):
        await desk.mount(folder=full)
    with pytest.raises(ActionFailed, match="nowhere is not there"):
        await desk.mount(str(desk.folder / "nowhere"))
    with pytest.raises(ActionFailed, match="file is no folder"):
        await desk.mount(str(desk.there / "file"))
    with pytest.raises(BerthError) as caught:
        await desk.mount(host=desk.sshd.host(sshport=free_port()))
    assert caught.value.exit_code == 3
    assert not desk.here.parent.exists() and not list((desk.folder / "state").rglob("*config"))
    (desk.folder / "taken").write_text("")
    monkeypatch.setenv("BERTH_STATE_DIR", str(desk.folder / "taken" / "state"))
    with pytest.raises(ActionFailed, match=r"cannot be written: .*Not a directory"):
        await desk.mount()
    assert not desk.here.parent.exists() and not mounted(desk.here)


@pytest.mark.parametrize(
    ("said", "path", "shown"),
    [
        (".", "", "box"),
        ("./src/./a/", "src/a", "box-a"),
        ("~/.", "", "box"),
        ("/.", "/", "box-root"),
        (".cache", ".cache", "box-.cache"),
    ],
)
def test_a_dot_is_no_folder_of_its_own(said: str, path: str, shown: str) -> None:
    config = Config(directory=Path("/"), hosts=(HostConfig(name="box", host="10.0.0.1"),))
    found = places.source(config, f"box:{said}")
    assert found.path == path and Path(places.default_folder(found)).name == shown


async def test_a_server_without_sftp_is_asked_for_the_program_itself(desk: Desk) -> None:
    desk.sshd.stop()
    desk.sshd.options["Subsystem"] = "other /bin/true"
    desk.sshd.start()
    await desk.mount(read_only=True)
    assert (desk.here / "file").read_text() == "hello"
    assert (await desk.row()).read_only
    with pytest.raises(OSError, match="Read-only"):
        (desk.here / "new").write_text("")


async def test_through_a_jump_host_with_its_own_key_on_record(desk: Desk, tmp_path: Path) -> None:
    gate = Sshd(tmp_path / "gate").start()
    try:
        with desk.sshd.known_hosts.open("a") as known:
            known.write(f"[127.0.0.1]:{gate.port} {gate.public}\n")
        gate.authorized.write_bytes(desk.sshd.authorized.read_bytes())
        host = desk.sshd.host(proxy_jump=f"127.0.0.1:{gate.port}")
        await desk.mount(host=host)
        assert (desk.here / "file").read_text() == "hello"
        assert gate.sessions(), "it goes through the gate"
        await unmount(await desk.row())
        desk.sshd.known_hosts.write_text(f"[127.0.0.1]:{gate.port} {gate.public}\n")
        with pytest.raises(BerthError, match="no record"):
            await desk.mount(host=host)
    finally:
        gate.stop()


async def test_a_lost_link_holds_nobody_up_and_comes_back(desk: Desk) -> None:
    await desk.mount()
    served = [pid for child in desk.sshd.sessions() for pid in (child, *descendants(child))]
    for pid in served:
        with contextlib.suppress(ProcessLookupError):  # a short one, of what looked at it before
            os.kill(pid, signal.SIGSTOP)
    try:
        row = (await records.rows(limit=0.3))[0]
        assert row.state is MountState.SILENT
        assert chosen([row], [], stale=True, all=False) == [row]
    finally:
        for pid in served:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def answers() -> bool:
        return (await desk.row()).state is MountState.MOUNTED

    await until(answers)
    for child in desk.sshd.sessions():  # now the connection is gone for good: sshfs makes another
        for pid in (child, *children(child)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await until(answers)
    assert (desk.here / "file").read_text() == "hello"


async def test_a_dead_host_is_unmounted_at_once(desk: Desk) -> None:
    await desk.mount()
    served = [pid for child in desk.sshd.sessions() for pid in (child, *descendants(child))]
    for pid in served:
        with contextlib.suppress(ProcessLookupError):  # a short one, of what looked at it before
            os.kill(pid, signal.SIGSTOP)
    stuck = await asyncio.create_subprocess_exec("ls", str(desk.here / "other"), stderr=-3)
    (row,) = await records.rows(limit=0.3)
    await unmount(row)
    assert not mounted(desk.here) and records.server(row.id) is None
    async with asyncio.timeout(30):
        assert await stuck.wait() != 0, "who hung in it goes on, with an error"
    assert not desk.here.exists()


async def test_what_a_crash_left_is_found_and_mended(desk: Desk) -> None:
    record = await desk.mount()
    shutil.rmtree(desk.folder / "state")
    row = await desk.row()
    assert (row.id, row.host, row.folder) == (record.id, "box", str(desk.here))
    assert row.pid is not None
    os.kill(row.pid, signal.SIGKILL)

    async def broken() -> bool:
        return (await desk.row()).state is MountState.BROKEN

    await until(broken)
    again = await desk.mount()
    assert again.id != record.id and (desk.here / "file").read_text() == "hello"

    await unmount(await desk.row())
    records.write(again)  # a machine that was switched off: on record, not mounted
    elsewhere = replace(again, id="abc123", machine="elsewhere")  # of a home that is shared: mounted there
    records.write(elsewhere)
    desk.here.mkdir(parents=True, exist_ok=True)
    assert await records.rows() == []
    assert not records.place(again.id).exists() and records.place(elsewhere.id).exists()
