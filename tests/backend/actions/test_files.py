"""Copies in and out of real containers: whole or not at all."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import actions
from backend.actions.context import ActionContext
from backend.actions.runner import run_one
from backend.config import Config
from backend.engine import EngineClient
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, UsageError
from tests.backend.actions.conftest import Act, Answers, OneEngine, new, row_of


async def sh(engine: EngineClient, container: str, script: str) -> str:
    done = await engine.exec(container, ["sh", "-c", script])
    assert done.exit_code == 0, done
    return done.stdout.decode()


async def test_a_folder_goes_in_and_comes_back(engine: EngineClient, act: Act, tmp_path: Path):
    source = tmp_path / "it's $(x)\n[b]"
    (source / "sub").mkdir(parents=True)
    (source / "sub/run").write_bytes(os.urandom(300_000))
    (source / "sub/run").chmod(0o751)
    (source / "--rm").write_text("x")
    (source / "latest").symlink_to("sub/run")
    made = await new(engine)
    voice = Answers()
    result = await act(engine, "copy-in", made, voice, source=str(source), target="/data")
    assert result.ok, result
    assert voice.moves[-1][1] == 300_001
    assert (await sh(engine, made, "ls -A /data")).count("it's") == 1  # and no hidden folder

    back = tmp_path / "back"
    back.mkdir()
    result = await act(engine, "copy-out", made, source=f"/data/{source.name}", target=str(back))
    assert result.ok and "3 files" in result.message
    there = back / source.name
    assert (there / "sub/run").read_bytes() == (source / "sub/run").read_bytes()
    assert (there / "sub/run").stat().st_mode & 0o777 == 0o751
    assert os.readlink(there / "latest") == "sub/run" and (there / "--rm").read_text() == "x"
    assert os.listdir(back) == [source.name]


async def test_into_a_folder_or_to_a_new_name(docker: EngineClient, act: Act, tmp_path: Path):
    made = await new(docker, start=False)  # a container that rests can be copied to and from
    (tmp_path / "f").write_text("one")
    assert (await act(docker, "copy-in", made, source=str(tmp_path / "f"), target="data/g")).ok
    assert (await act(docker, "copy-out", made, source="/data/g", target=str(tmp_path / "h"))).ok
    assert (tmp_path / "h").read_text() == "one"
    assert (await act(docker, "copy-out", made, source="/bin/sh", target=str(tmp_path))).ok
    assert (tmp_path / "sh").stat().st_size > 100_000  # the link was followed
    for options in (
        {"source": "/data/g", "target": f"{tmp_path}/no/h"},
        {"source": "/data/g", "target": f"{tmp_path}/no/"},
    ):
        assert isinstance((await act(docker, "copy-out", made, **options)).error, UsageError)
    missing = await act(docker, "copy-out", made, source="/no")
    assert isinstance(missing.error, NoSuchTarget) and "/no is not in web on h1" in missing.error.message
    for target in ("/no/x", "/etc/passwd/x", "/no/"):
        result = await act(docker, "copy-in", made, source=str(tmp_path / "f"), target=target)
        assert isinstance(result.error, NoSuchTarget)
    result = await act(docker, "copy-in", made, source=str(tmp_path / "no"), target="/data")
    assert isinstance(result.error, NoSuchTarget) and "this machine" in result.error.message


@pytest.mark.parametrize("start", [True, False])
async def test_what_is_there_is_replaced_only_if_wanted(
    docker: EngineClient, act: Act, tmp_path: Path, start: bool
):
    made = await new(docker, start=start)
    (tmp_path / "f").write_text("new")
    assert (await act(docker, "copy-in", made, source=str(tmp_path / "f"), target="/data/f")).ok
    (tmp_path / "f").write_text("old")
    voice = Answers()
    for name, source, target in (
        ("copy-in", str(tmp_path / "f"), "/data"),
        ("copy-out", "/data/f", str(tmp_path)),
    ):
        result = await act(docker, name, made, voice, source=source, target=target)
        assert isinstance(result.error, Refused)
    assert len(voice.asked) == 2 and (tmp_path / "f").read_text() == "old"
    yes = Answers("Replace it?")
    assert (await act(docker, "copy-out", made, yes, source="/data/f", target=str(tmp_path))).ok
    assert (tmp_path / "f").read_text() == "new"
    (tmp_path / "f").write_text("newer")
    options = {"source": str(tmp_path / "f"), "target": "/data", "overwrite": True}
    assert (await act(docker, "copy-in", made, **options)).ok
    assert (await act(docker, "copy-out", made, source="/data/f", target=str(tmp_path / "x"))).ok
    assert (tmp_path / "x").read_text() == "newer"
    if start:
        assert await sh(docker, made, "ls -A /data") == "f\n"


async def test_links_out_and_devices_are_named_and_left(docker: EngineClient, act: Act, tmp_path: Path):
    made = await new(docker)
    await sh(docker, made, "mkdir /d; echo x >/d/f; ln -s /etc/passwd /d/l; ln -s ../../x /d/up")
    await docker.exec(made, ["busybox", "mkfifo", "/d/pipe"])
    voice = Answers()
    result = await act(docker, "copy-out", made, voice, source="/d", target=str(tmp_path))
    assert result.ok and result.message.endswith("3 not copied")
    assert os.listdir(tmp_path / "d") == ["f"]
    assert all(any(name in line for line in voice.lines) for name in ("d/l:", "d/up:", "d/pipe:"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_here_leaves_nothing(docker: EngineClient, act: Act, small_disk: Path):
    made = await new(docker)
    (small_disk / "big").write_text("what was there")
    await sh(docker, made, "head -c 2000000 /dev/zero >/data/big")
    result = await act(docker, "copy-out", made, source="/data/big", target=str(small_disk), overwrite=True)
    assert isinstance(result.error, ActionFailed) and "no room" in result.error.message.lower()
    assert os.listdir(small_disk) == ["big"] and (small_disk / "big").read_text() == "what was there"


async def test_a_full_disk_inside_leaves_nothing(docker: EngineClient, act: Act, tmp_path: Path):
    made = await new(docker, Tmpfs={"/small": "size=256k"})
    (tmp_path / "big").write_bytes(bytes(2_000_000))
    await sh(docker, made, "echo old >/small/big")
    result = await act(docker, "copy-in", made, source=str(tmp_path / "big"), target="/small", overwrite=True)
    assert isinstance(result.error, BerthError)
    assert await sh(docker, made, "ls -A /small; cat /small/big") == "big\nold\n"


async def start_copy(
    engine: EngineClient, name: str, container: str, tmp_path: Path, **options
) -> tuple[asyncio.Task, asyncio.Event]:
    """A copy on its way, and an event for when it has begun to move."""
    voice, moving = Answers(), asyncio.Event()
    voice.on_move = lambda done: moving.set() if done else None
    ctx = ActionContext(Config(directory=tmp_path), OneEngine(engine), voice)
    row = await row_of(engine, container)
    return asyncio.create_task(run_one(actions.load()[name], row, options, ctx)), moving


async def test_a_cancelled_copy_out_leaves_nothing(engine: EngineClient, tmp_path: Path):
    made = await new(engine)
    await sh(engine, made, "mkdir /d; for i in 1 2 3 4; do head -c 60000000 /dev/zero >/d/$i; done")
    out = tmp_path / "out"
    out.mkdir()
    running, moving = await start_copy(engine, "copy-out", made, tmp_path, source="/d", target=str(out))
    await moving.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert os.listdir(out) == []


async def test_a_cancelled_copy_in_leaves_nothing(engine: EngineClient, tmp_path: Path):
    made = await new(engine)
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(2_000_000_000)
    running, moving = await start_copy(engine, "copy-in", made, tmp_path, source=str(big), target="/data")
    await moving.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await sh(engine, made, "ls -A /data") == ""


async def test_an_engine_that_ends_in_the_middle_leaves_nothing(
    docker: EngineClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = await new(docker)
    await sh(docker, made, "head -c 200000000 /dev/zero >/data/big")
    out = tmp_path / "out"
    out.mkdir()
    running, moving = await start_copy(docker, "copy-out", made, tmp_path, source="/data", target=str(out))
    await moving.wait()
    for lane in tuple(docker._busy):  # the socket ends under it, as when the link is lost
        lane._sockets[-1].shutdown(2)
    result = await running
    assert isinstance(result.error, BerthError) and os.listdir(out) == []
