"""Commands on real hosts with engines: in containers, in terminals, over a network that is pulled."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.access import StandaloneAccess
from backend.actions import commands
from backend.actions.context import ActionContext, Terminal
from backend.actions.runner import run_one
from backend.cli import main
from backend.config import Settings, load
from backend.everywhere.run import Everywhere
from backend.everywhere.wish import Wish
from backend.link.terminal import open_terminal
from backend.model import ContainerRow, HostRow
from backend.targets import resolve
from backend.terminal.process import Size
from tests.lab import HostSpec, Lab

pytestmark = pytest.mark.lab
COMMANDS = """\
commands:
  inside:
    on: container
    command: 'echo {container} on {host} has ${#BERTH_KEY}; hostname; exit {code}'
    params: {key: {type: secret}, code: {type: int, default: 0}}
  by-words: {on: container, command: [echo, "{container} {image}", $HOME], reads: true}
  beside: {on: container, runs: host, command: 'echo {container}; cat /etc/hostname', show: background}
  shell-in: {on: container, show: terminal, command: 'echo {container} $((40 + 2)); tty; sleep 0.1'}
  shell-at: {show: terminal, command: [sh, -c, "echo $0 $((40 + 2)); tty", "{host}"]}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("each") / "lab", [HostSpec("one"), HostSpec("two")]) as lab:
        yield lab


@pytest.fixture
def config(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The lab's hosts, and commands of one's own."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "hosts.yaml").write_text((lab.config_dir / "hosts.yaml").read_text())
    (folder / "settings.yaml").write_text(COMMANDS)
    monkeypatch.setenv("BERTH_CONFIG_DIR", str(folder))
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    yield folder
    commands.declare(Settings())


class Silent:
    """A voice that keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, done: int, total: int | None) -> None:
        pass


async def terminal_of(name: str, kind: type, word: str) -> str:
    """What a command for a terminal shows there."""
    async with StandaloneAccess(load()) as access:
        (target,) = await resolve(kind, word, access.config, access)
        ctx = ActionContext(access.config, access, Silent())  # type: ignore[arg-type]
        result = await run_one(commands.ACTIONS[f"do-{name}"], target, {}, ctx)
        assert result.terminal is not None, result
        terminal: Terminal = result.terminal
        link = await access.link(terminal.host)
        process = await open_terminal(link, terminal.argv, term="xterm", size=Size(80, 24), env={})
        shown = b""
        async with asyncio.timeout(60):
            while piece := await process.read():
                shown += piece
        await process.close()
        return shown.decode()


def test_in_containers_on_their_hosts_and_in_terminals(lab: Lab, config: Path, capfd, monkeypatch):
    one = lab.host("one")
    one.docker("run", "-d", "--name", "web", "--hostname", "inner", "busybox:latest", "sleep", "100000")
    try:
        read, write = os.pipe()
        os.write(write, b"s3cret\n" * 2)
        os.close(write)
        with os.fdopen(read) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert main(["do", "inside", "one/web", "--code", "3"]) == 3
        out, err = capfd.readouterr()
        assert out == "web on one has 6\ninner\n" and "inside on web on one ended with exit code 3" in err
        assert main(["do", "by-words", "one/w*", "--read-only"]) == 0
        assert capfd.readouterr().out == "web busybox:latest $HOME\n"
        assert main(["do", "beside", "one/web"]) == 0
        assert capfd.readouterr().out.startswith("web\none")
        commands.declare(load().settings)
        shown = asyncio.run(terminal_of("shell-in", ContainerRow, "one/web"))
        assert "web 42" in shown and "/dev/pts/" in shown
        shown = asyncio.run(terminal_of("shell-at", HostRow, "two"))
        assert "two 42" in shown and "/dev/pts/" in shown
    finally:
        one.docker("rm", "-f", "web")


async def test_a_network_that_is_pulled_is_said_and_the_others_go_on(lab: Lab, config: Path):
    one = lab.host("one")
    loaded = load()
    try:
        async with StandaloneAccess(loaded) as access:
            line = (
                "echo $$; [ {host} = one ] && sleep 1000; until [ -e /tmp/go ]; do sleep 0.1; done; echo on"
            )
            made = Everywhere(loaded, access, Wish((line,), ("one", "two")))
            running = asyncio.create_task(made.run())
            async with asyncio.timeout(60):
                while not all(run.output.lines for run in made.runs):
                    await asyncio.sleep(0.05)
            one.partition()
            async with asyncio.timeout(60):
                while not made.runs[0].over:
                    await asyncio.sleep(0.1)
            assert made.runs[0].state == "lost" and "one" in made.runs[0].error
            assert made.runs[1].state == "running"
            lab.host("two").run(["touch", "/tmp/go"])
            assert await running == 3 and made.runs[1].ok
    finally:
        one.heal()
        lab.host("two").run(["rm", "-f", "/tmp/go"])
        one.run(["kill", "-KILL", f"-{made.runs[0].output.lines[0]}"], check=False)
