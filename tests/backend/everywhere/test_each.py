"""`berth each` and `berth do` on three real sshds: output, ends, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from backend.access import StandaloneAccess
from backend.actions import commands
from backend.actions import load as load_actions
from backend.actions.context import ActionContext
from backend.actions.runner import run_one
from backend.activity import ActivityLog
from backend.cli import main
from backend.config import Settings, load
from backend.everywhere.run import KEEP, Everywhere
from backend.everywhere.wish import Wish, choose
from tests.backend.everywhere.conftest import Bed, alive

THREE = ("h0", "h1", "h2")


@pytest.fixture(autouse=True)
def _places(places: Path):
    yield
    commands.declare(Settings())


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


async def soon(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


def test_streams_exit_codes_and_placeholders(capfd, bed: Bed):
    code = main(["each", "--", 'echo {host}; echo "to {user}:{port}" >&2; cat; [ {host} != h1 ] || exit 7'])
    out, err = capfd.readouterr()
    for number, server in enumerate(bed.servers):
        own = [line for line in out.splitlines() if line.startswith(f"h{number}: ")]
        assert own == [
            f"h{number}: h{number}",
            f"h{number}: to {os.environ.get('USER', 'root')}:{server.port}",
        ]
    assert code == 1
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["HOST", "EXIT"],
        ["h0", "0"],
        ["h1", "7"],
        ["h2", "0"],
    ]


def test_words_are_taken_as_they_are_and_one_word_is_a_line(capfd):
    assert main(["each", "--host", "h0", "--", "printf", "<%s>", "a b", "$HOME", "*", "it's !\\n", ""]) == 0
    assert capfd.readouterr().out == "h0: <a b><$HOME><*><it's !\\n><>\n"
    assert main(["each", "--host", "h0", "--", "printf '<%s>' a b | tr a x; cd /; pwd"]) == 0
    assert capfd.readouterr().out == "h0: <x><b>/\n"
    assert main(["each", "--host", "h0", "--", "no-such-program"]) == 1
    assert "no-such-program" in capfd.readouterr().out


def test_json_has_one_object_per_host_and_folding_works_in_a_pipe(capfd):
    assert main(["each", "--json", "--", "printf 'a\\nb'; [ {host} = h2 ] && echo c; exit 0"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [(each["host"], each["exit_code"], each["output"]) for each in found] == [
        ("h0", 0, ["a", "b"]),
        ("h1", 0, ["a", "b"]),
        ("h2", 0, ["a", "bc"]),
    ]
    (kept, *_) = ActivityLog().read()
    assert (kept.action, kept.state, kept.options["host"]) == ("each", "done", list(THREE))
    assert "h0: a" in kept.output and kept.notes["command"].startswith("printf")
    assert main(["each", "--show", "folded", "--tag", "t0", "t1", "--", "echo same"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith("── h0, h1 (2) · exit 0") and out[1:] == ["same"]


def test_a_host_that_is_away_is_named_and_the_others_are_shown(capfd, bed: Bed, tmp_path, monkeypatch):
    text = (bed.config / "hosts.yaml").read_text()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/hosts.yaml").write_text(text.replace(f"sshport: {bed.servers[1].port}", "sshport: 1"))
    code = main(["--config", str(tmp_path / "config"), "each", "--", "echo here"])
    out, err = capfd.readouterr()
    assert code == 3 and sorted(out.split("\n")) == ["", "h0: here", "h2: here"]
    assert "h1    unreachable" in err and "refuses connections" in err
    assert main(["each", "--host", "h9", "--", "true"]) == 4
    assert main(["--read-only", "each", "--", "true"]) == 5
    assert main(["each"]) == 2


def test_it_can_run_here_once_for_each_host(capfd, bed: Bed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["each", "--local", "--parallel", "1", "--", "echo {port} $PWD"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out == [f"h{number}: {server.port} {tmp_path}" for number, server in enumerate(bed.servers)]


async def everywhere(line: str, hosts: tuple[str, ...] = THREE, **more) -> Everywhere:
    config = load()
    async with StandaloneAccess(config) as access:
        made = Everywhere(config, access, Wish((line,), hosts, **more))
        await made.run()
    return made


async def test_a_slow_host_holds_up_nobody_and_output_comes_while_it_runs(tmp_path):
    config = load()
    heard: list[tuple[str, str]] = []

    async def hear(run, lines):
        heard.extend((run.host, line) for line in lines)

    async with StandaloneAccess(config) as access:
        line = f"echo first; [ {{host}} = h1 ] && until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo last"
        made = Everywhere(config, access, Wish((line,), THREE), heard=hear)
        running = asyncio.create_task(made.run())
        await soon(lambda: made.runs[0].ok and made.runs[2].ok and ("h1", "first") in heard)
        assert ("h1", "last") not in heard and made.runs[1].state == "running"
        (tmp_path / "go").touch()
        assert await running == 0 and ("h1", "last") in heard


async def test_endless_output_is_bounded_and_ended_with_all_it_started(tmp_path):
    line = f'echo $$ >>{tmp_path}/pids; (trap "" TERM; echo $$ >>{tmp_path}/pids; sleep 1000 & wait) & yes'
    pids: list[int] = []
    config = load()
    async with StandaloneAccess(config) as access:
        made = Everywhere(config, access, Wish((line,), ("h0", "h1")))
        running = asyncio.create_task(made.run())
        await soon(lambda: all(run.output.dropped for run in made.runs))
        await soon(lambda: len((tmp_path / "pids").read_text().split()) == 4)
        pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {run.state for run in made.runs} == {"cancelled"}
    assert all(0 < run.output._held <= KEEP for run in made.runs)
    await soon(lambda: not any(map(alive, pids)))


async def test_what_takes_too_long_is_ended(tmp_path):
    made = await everywhere(f"echo on; echo $$ >{tmp_path}/pid; sleep 1000", ("h0",), timeout=2.0)
    assert made.runs[0].state == "timeout" and "more than 2 s" in made.runs[0].error
    assert not (tmp_path / "pid").exists() or not alive(int((tmp_path / "pid").read_text()))


async def test_what_is_left_in_the_background_stays_and_holds_nothing_up(tmp_path):
    made = await everywhere(f"sleep 1000 & echo $! >{tmp_path}/pid; echo started", ("h0",))
    assert made.runs[0].ok and [*made.runs[0].output.lines] == ["started"]
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_an_account_that_runs_nothing_says_so(tmp_path):
    from tests.backend.sshd import Sshd

    server = Sshd(tmp_path / "closed", ForceCommand="echo go away; exit 1").start()
    try:
        config = load()
        held = tuple(server.host(name="h0") if host.name == "h0" else host for host in config.hosts)
        config = msgspec.structs.replace(config, hosts=held)
        async with StandaloneAccess(config) as access:
            made = Everywhere(config, access, Wish(("uptime",), ("h0", "h1")))
            assert await made.run() == 1
        assert made.runs[0].state == "failed" and "go away" in made.runs[0].error and made.runs[1].ok
    finally:
        server.stop()


def berth(*words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tui", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_killed_berth_leave_nothing_running(bed: Bed, tmp_path, how):
    pids = tmp_path / "pids"
    line = f"echo came; sleep 1; (echo $$; exec sh -c 'echo $$; sleep 1000') >>{pids} & sleep 1000"
    child = berth("each", "--show", "folded", "--", line)
    until(lambda: bed.pids(pids, 6))
    child.send_signal(how)
    out, _ = child.communicate(timeout=60)
    until(lambda: not any(map(alive, bed.pids(pids, 6))))
    if how is signal.SIGINT:
        assert child.returncode == 130
        assert out.count(" · cancelled") in (1, 2) and all(host in out for host in THREE) and "came" in out


def own(bed: Bed, tmp_path: Path, text: str) -> str:
    folder = tmp_path / "own"
    folder.mkdir(exist_ok=True)
    (folder / "hosts.yaml").write_text((bed.config / "hosts.yaml").read_text())
    (folder / "settings.yaml").write_text(text)
    return str(folder)


def test_commands_of_ones_own_are_verbs(capfd, bed: Bed, tmp_path, monkeypatch):
    config = own(
        bed,
        tmp_path,
        """\
commands:
  again:
    command: echo again {service} on {host}; exit {code}
    danger: true
    params: {service: {default: nginx}, code: {type: int, default: 0}}
  everyone: {on: everywhere, command: [echo, "{host}", $HOME], reads: true}
  mine: {runs: laptop, command: 'echo {host} $BERTH_HOST {file}', params: {file: {type: path, default: ~/x}}}
""",
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    berth_ = ["--config", config, "do"]
    assert main([*berth_, "again", "h0"]) == 5  # nobody to ask
    assert "Run again on h0?" in capfd.readouterr().err
    assert main([*berth_, "again", "h0", "h1", "--yes", "--service", "a'b; id", "--code", "4"]) == 4
    out, err = capfd.readouterr()
    assert sorted(out.splitlines()) == ["h0: again a'b; id on h0", "h1: again a'b; id on h1"]
    assert err.count("exit code 4") == 2
    assert main([*berth_, "everyone", "--only", "h[01]", "--read-only"]) == 0
    assert sorted(capfd.readouterr().out.splitlines()) == ["h0: h0 $HOME", "h1: h1 $HOME"]
    assert main([*berth_, "mine", "h2"]) == 0
    assert capfd.readouterr().out == f"h2 h2 {tmp_path}/x\n"
    assert main([*berth_, "again", "h0", "--yes", "--read-only"]) == 5


def test_a_secret_is_in_no_arguments_and_no_log(bed: Bed, tmp_path):
    config = own(
        bed,
        tmp_path,
        f"""\
commands:
  token:
    command: 'echo "got $BERTH_TOKEN"; touch {tmp_path}/on; until [ -e {tmp_path}/go ]; do sleep 0.05; done'
    params: {{token: {{type: secret}}}}
""",
    )
    argv = [sys.executable, "-m", "tui", "--config", config, "do", "token", "h0", "--json"]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child.stdin.write("hunter2-xyzzy\n")
    child.stdin.flush()
    until((tmp_path / "on").exists)
    shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    (tmp_path / "go").touch()
    assert json.loads(child.communicate(timeout=60)[0])[0]["output"] == ["got hunter2-xyzzy"]
    assert not any(b"hunter2-xyzzy" in each for each in shown)
    state = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert state and not any(b"hunter2-xyzzy" in each for each in state)


def test_a_command_of_this_machine_can_have_the_terminal(bed: Bed, tmp_path):
    line = f"read x; echo $x {{host}} >{tmp_path}/got; tty"
    config = own(bed, tmp_path, f"commands: {{ask: {{runs: laptop, show: terminal, command: '{line}'}}}}")
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "tui", "--config", config, "do", "ask", "h1"]
    child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, b"typed\n")
    shown = b""
    with contextlib.suppress(OSError):  # how the end of a terminal is told
        while piece := os.read(ours, 4096):
            shown += piece
    assert child.wait(60) == 0 and b"/dev/pts/" in shown and b"ask: done for h1" in shown
    assert (tmp_path / "got").read_text() == "typed h1\n"


class Voice:
    """Hears what an action says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, line: str) -> None:
        self.lines.append(line)


async def test_as_an_action_it_says_who_failed_and_who_was_left_out():
    config = load()
    held = tuple(msgspec.structs.replace(host, read_only=host.name == "h2") for host in config.hosts)
    config = msgspec.structs.replace(config, hosts=held)
    each = load_actions("each")["each"]
    async with StandaloneAccess(config) as access:
        ctx = ActionContext(config, access, voice := Voice())
        done = await run_one(each, None, {"command": ("echo {host}",)}, ctx)
        assert done.message == "echo {host}: done on 2 hosts; read-only and left out: h2"
        assert sorted(voice.lines) == ["h0: h0", "h1: h1"]
        done = await run_one(each, None, {"command": ("[ {host} = h0 ]",)}, ctx)
        assert "not done on 1 of 2 hosts: h1 (exit 1)" in str(done.error) and done.error.exit_code == 1


def test_reads_and_hosts_are_those_of_the_configuration():
    assert choose(load())[0] == THREE
