"""The agent on its way to a host: real sshd, real shells, the real agent."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backend import bundle, link, loader, shipping, wire
from backend.config import HostConfig
from backend.errors import AgentFailed
from backend.link import Link
from backend.model import Hello
from tests.backend.sshd import Sshd

ARGS = ("--interval", "0.5", "--engine", "none")


def session(sshd: Sshd, shell: str = "/bin/sh", **environment: str) -> None:
    """Give the server's sessions this shell and nothing but this environment."""
    sshd.stop()
    values = {"HOME": str(sshd.folder), "PATH": os.environ["PATH"], **environment}
    words = " ".join(f"{key}={value}" for key, value in values.items())
    sshd.options["ForceCommand"] = f'env -i {words} {shell} -c "$SSH_ORIGINAL_COMMAND"'
    sshd.start()


@contextlib.asynccontextmanager
async def started(sshd: Sshd) -> AsyncIterator[tuple[Link, shipping.Agent, Hello]]:
    """An agent there, and its first word."""
    box = await link.open(sshd.host())
    try:
        agent = await shipping.start(box, ARGS)
        hello = wire.decode(await anext(agent.lines)).data
        assert isinstance(hello, Hello)
        yield box, agent, hello
        await agent.process.close()
    finally:
        await box.close()


async def ended(pid: int) -> None:
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}/exe").exists():
            await asyncio.sleep(0.01)


def kept(sshd: Sshd) -> list[str]:
    folder = sshd.folder / ".cache/berth"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


DATA, DIGEST = bundle.agent_zipapp()
NAME = f"agent-{DIGEST}.pyz"


def assert_whole(path: Path) -> None:
    """It is this agent, every module of it compiled, and its checksum says so."""
    with zipfile.ZipFile(path) as found, zipfile.ZipFile(io.BytesIO(DATA)) as sent:
        sources = {name: sent.read(name) for name in sent.namelist()}
        assert {name: found.read(name) for name in sources} == sources
        assert set(found.namelist()) == {*sources, *(f"{name}c" for name in sources)}
    assert loader.intact(str(path), zlib.crc32(DATA))


async def test_the_agent_is_shipped_once_kept_private_and_ends_with_us(sshd: Sshd) -> None:
    session(sshd)
    async with started(sshd) as (_, agent, hello):
        assert hello.protocol == wire.PROTOCOL and hello.pid != os.getpid()
        await agent.process.write(b'{"cmd":"ping","id":5}\n')
        async for line in agent.lines:
            if wire.decode(line).name == "pong":
                break
        assert kept(sshd) == [NAME]
        path = sshd.folder / ".cache/berth" / NAME
        assert_whole(path)
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        first = path.stat().st_ino
    await ended(hello.pid)
    async with started(sshd):
        assert path.stat().st_ino == first, "not written again"


async def test_a_damaged_copy_is_replaced_and_old_versions_go(sshd: Sshd) -> None:
    session(sshd)
    folder = sshd.folder / ".cache/berth"
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b"half")
    week_ago = time.time() - 7 * 86400
    for number, age in enumerate((week_ago, week_ago + 1, time.time())):
        (folder / f"agent-old{number}.pyz").write_bytes(b"")
        os.utime(folder / f"agent-old{number}.pyz", (age, age))
    async with started(sshd):
        assert kept(sshd) == [NAME, "agent-old2.pyz"]
        assert_whole(folder / NAME)


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_what_is_not_the_whole_of_this_agent_is_no_agent(tmp_path: Path, damage: bytes | None) -> None:
    crc = zlib.crc32(DATA)
    whole = loader.compiled(DATA, crc)
    path = tmp_path / NAME
    path.write_bytes(whole)
    assert loader.intact(str(path), crc)
    assert not loader.intact(str(path), crc ^ 1), "another agent's"
    changed = bytes([whole[1000] ^ 1])
    path.write_bytes(whole[:1000] + changed + whole[1001:] if damage is None else damage)
    assert not loader.intact(str(path), crc)


def test_sources_that_this_python_cannot_read_are_left_as_they_are(tmp_path: Path) -> None:
    agent = io.BytesIO()
    with zipfile.ZipFile(agent, "w") as archive:
        archive.writestr("__main__.py", "import good\nprint(good.__file__)\n")
        archive.writestr("good.py", "")
        archive.writestr("later.py", "match =\n")
    path = tmp_path / "agent.pyz"
    path.write_bytes(loader.compiled(agent.getvalue(), 0))
    assert "later.pyc" not in zipfile.ZipFile(path).namelist()
    said = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"{path}/good.pyc"


async def test_another_cache_directory(sshd: Sshd, tmp_path: Path) -> None:
    session(sshd, XDG_CACHE_HOME=str(tmp_path / "cache"))
    async with started(sshd):
        assert (tmp_path / "cache/berth" / NAME).exists() and not kept(sshd)


async def test_a_home_that_cannot_be_written(sshd: Sshd) -> None:
    session(sshd, HOME="/proc/self")
    for _ in range(2):
        async with started(sshd) as (_, _, hello):
            files = [os.readlink(path) for path in Path(f"/proc/{hello.pid}/fd").iterdir()]
            assert any("berth-agent" in path for path in files), "it runs from memory"
    await ended(hello.pid)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for next to nothing."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk(sshd: Sshd, small_disk: Path) -> None:
    session(sshd, XDG_CACHE_HOME=str(small_disk))
    async with started(sshd):
        assert list((small_disk / "berth").iterdir()) == [], "nothing half-written stays"


SHELLS = ("sh", "bash", "zsh", "mksh", "fish", "tcsh")


@pytest.mark.parametrize("shell", SHELLS)
async def test_any_login_shell_will_do(sshd: Sshd, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    session(sshd, path)
    async with started(sshd) as (box, _, _):
        words = ["it's", '"$HOME"', "a b", "*", "", "\\\\", "\\'", "!x", "new\nline", "héé", "%s\\n"]
        done = await box.run(["printf", "%s|", *words], timeout=10)
        assert done.stdout.decode() == "|".join(words) + "|"
        assert await shipping.find_python(box)


async def test_a_shell_that_talks_before_us(sshd: Sshd) -> None:
    session(sshd)
    talk = "echo Welcome to box; echo '{}'; echo '[1]'; echo -e '\\033[31m'; "
    sshd.stop()
    sshd.options["ForceCommand"] = talk + sshd.options["ForceCommand"]
    sshd.start()
    async with started(sshd) as (_, _, hello):
        assert hello.protocol == wire.PROTOCOL


def stand_in(folder: Path, name: str, script: str) -> None:
    """A program of ours on the server's PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


async def test_a_python_that_is_found_elsewhere(sshd: Sshd, tmp_path: Path) -> None:
    stand_in(tmp_path / "bin", "python3", "exit 127")
    session(sshd, PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    async with started(sshd) as (_, _, hello):
        assert Path(f"/proc/{hello.pid}/exe").resolve().name.startswith("python3")


async def test_no_python_says_how_to_get_one(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "_FIND", "exit 3")  # the paths it looks at exist on this machine
    for shell in filter(shutil.which, ("sh", "fish", "tcsh")):
        session(sshd, str(shutil.which(shell)), PATH=str(tmp_path))
        box = await link.open(sshd.host())
        with pytest.raises(shipping.NoPython, match="no python3") as caught:
            await shipping.start(box, ARGS)
        assert "apt install python3" in caught.value.hint
        await box.close()


async def test_a_python_that_breaks_says_what_it_said(sshd: Sshd, tmp_path: Path) -> None:
    stand_in(tmp_path / "bin", "python3", "echo broken installation >&2; exit 1")
    session(sshd, PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    box = await link.open(sshd.host())
    with pytest.raises(AgentFailed, match="broken installation") as caught:
        await shipping.start(box, ARGS)
    assert not isinstance(caught.value, shipping.NoPython)
    await box.close()


async def test_a_start_that_hangs_ends(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "START_TIMEOUT", 0.5)
    stand_in(tmp_path / "bin", "python3", f"echo $$ >{tmp_path}/pid; exec sleep 1000")
    session(sshd, PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    box = await link.open(sshd.host())
    with pytest.raises(AgentFailed, match="did not start within"):
        await shipping.start(box, ARGS)
    await box.close()
    with contextlib.suppress(FileNotFoundError):
        os.kill(int((tmp_path / "pid").read_text()), 9)  # it does not read: only its own time ends it


def test_what_cannot_be_kept_was_not_compiled_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "berth").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(loader, "say", lambda word: None)
    monkeypatch.setattr(loader, "read_exactly", lambda size: DATA)
    path, _ = loader.fetch(DIGEST, len(DATA), zlib.crc32(DATA))
    assert_whole(Path(path))
    os.close(int(Path(path).name))


def test_the_loader_says_when_its_python_is_too_old(tmp_path: Path) -> None:
    loader = Path(shipping.__file__).with_name("loader.py").read_text()
    old = "import sys; sys.version_info = (3, 7)\n"
    header = json.dumps({"name": "x", "size": 1, "crc": 1, "args": []}).encode() + b"\n"
    done = subprocess.run(
        ["python3", "-c", shipping._ONE_LINER],
        input=json.dumps(old + loader).encode() + b"\n" + header,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 127 and b"python3" in done.stderr and not done.stdout


async def test_the_agent_here_is_a_child_of_ours(home: Path) -> None:
    here = await link.open(local())
    agent = await shipping.start(here, ARGS)
    hello = wire.decode(await anext(agent.lines)).data
    assert isinstance(hello, Hello)
    await here.close()
    assert not Path(f"/proc/{hello.pid}/exe").exists()
    assert not (home / ".cache").exists(), "nothing is shipped to ourselves"


def local() -> HostConfig:
    return HostConfig(name="local", host="local", local=True)
