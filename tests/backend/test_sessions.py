"""Sessions of a real tmux server: started, renamed, ended, captured; and what is said once they are gone."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from backend import link
from backend.actions import ActionContext, load
from backend.config import Config, HostConfig
from backend.errors import NoSuchTarget, UsageError
from backend.fleet import Fleet
from backend.model import HostRow, HostState, SessionRow
from backend.rows import RowBuilder
from backend.wall import Feed, PaneKey

HERE = HostConfig(name="local", host="local", local=True, engine="none")
pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose tmux server is the test's own; the server's socket."""
    folder = Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
    monkeypatch.setenv("TMUX_TMPDIR", str(folder))
    monkeypatch.delenv("TMUX", raising=False)
    socket = folder / f"tmux-{os.getuid()}" / "default"
    yield socket
    subprocess.run(["tmux", "-S", str(socket), "kill-server"], capture_output=True, check=False)
    shutil.rmtree(folder)


def tmux(socket: Path, *words: str) -> str:
    done = subprocess.run(["tmux", "-S", str(socket), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Here:
    state = None

    async def link(self, host: str):
        return await link.open(HERE)


def do(action: str, target: object, /, **options: object):
    ctx = ActionContext(config=Config(directory=Path("/nowhere"), hosts=(HERE,)), access=Here(), voice=None)
    return load()[action].call(ctx, target, **options)


def host_row() -> HostRow:
    return HostRow(name="local", address="local", state=HostState.UP)


async def rows(fleet: Fleet, wanted) -> list[SessionRow]:
    """The sessions, once they are as wanted."""
    async with asyncio.timeout(30):
        async for state in fleet.updates():
            found = RowBuilder().sessions(state)
            if wanted(found):
                return found
    raise AssertionError


async def test_a_session_is_started_renamed_and_ended(server: Path, tmp_path: Path) -> None:
    said = await do(
        "session-new", host_row(), name="a b;$(x)", command="exec sleep 1000", folder=str(tmp_path)
    )
    name = tmux(server, "list-sessions", "-F", "#{session_name}")
    assert name in said and tmux(server, "display-message", "-p", "#{session_path}") == str(tmp_path)
    await do("session-new", host_row(), name="other")
    async with Fleet(Config(directory=tmp_path, hosts=(HERE,)), interval=0.5) as fleet:
        found = await rows(fleet, lambda all: len([r for r in all if r.socket == str(server)]) == 2)
        mine = next(row for row in found if row.name == name)
        await do("session-rename", mine, name="=new:name.1")
        assert sorted(tmux(server, "list-sessions", "-F", "#{session_name}").split()) == [
            "_new_name_1",
            "other",
        ]
        await do("session-kill", mine)
        assert tmux(server, "list-sessions", "-F", "#{session_name}") == "other"
        with pytest.raises(NoSuchTarget):
            await do("session-kill", mine)
        assert "$" in mine.id and mine.name in load()["session-kill"].question(mine)
        assert "local" in load()["session-kill"].question(mine)


async def test_an_id_that_belongs_to_another_session_now_ends_nothing(server: Path, tmp_path: Path) -> None:
    await do("session-new", host_row(), name="first")
    async with Fleet(Config(directory=tmp_path, hosts=(HERE,)), interval=0.5) as fleet:
        found = await rows(fleet, lambda all: any(r.socket == str(server) for r in all))
    mine = next(row for row in found if row.socket == str(server))
    other = replace(mine, created_at=mine.created_at - timedelta(minutes=5))
    with pytest.raises(NoSuchTarget, match="another session"):
        await do("session-kill", other)
    with pytest.raises(NoSuchTarget, match="another session"):
        await do("session-rename", other, name="x")
    assert tmux(server, "list-sessions", "-F", "#{session_name}") == "first"
    tmux(server, "kill-server")
    with pytest.raises(NoSuchTarget):
        await do("session-kill", mine)


async def test_names_that_are_none(server: Path) -> None:
    for name in ("", "  ", "a\0b"):
        with pytest.raises(UsageError):
            await do("session-new", host_row(), name=name)
    assert not server.exists()


async def test_panes_are_captured_while_somebody_looks(server: Path, tmp_path: Path) -> None:
    script = r"printf '\033[31mred\033[0m\n'; while read line; do echo got:$line; done"
    await do("session-new", host_row(), name="one", command=script)
    socket, pane = str(server), tmux(server, "list-panes", "-F", "#{pane_id}")
    key, gone = PaneKey("local", socket, pane), PaneKey("local", socket, "%99")
    async with Fleet(Config(directory=tmp_path, hosts=(HERE,)), interval=0.5) as fleet:
        await rows(fleet, lambda all: any(r.socket == socket for r in all))
        changed: asyncio.Queue[PaneKey] = asyncio.Queue()
        feed = Feed(fleet)
        feed.want("test", [key, gone], changed.put_nowait)

        async def until(true) -> None:
            async with asyncio.timeout(30):
                while not true():
                    await changed.get()

        await until(lambda: (image := feed.album[key]) and "red" in image.plain)
        image = feed.album[key]
        assert "\x1b[31mred" in image.lines[0]
        tmux(server, "send-keys", "-t", pane, "hello", "Enter")
        await until(lambda: "got:hello" in feed.album[key].plain)
        await until(lambda: (image := feed.album[gone]) and image.gone)
        tmux(server, "kill-server")
        await until(lambda: feed.album[key].gone)
        assert "got:hello" in feed.album[key].plain
