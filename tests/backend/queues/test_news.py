"""What is told of jobs that started, ended or failed, and by which ways it gets to a person."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backend.config.schema import Notify
from backend.errors import ActionFailed
from backend.model import FleetState, HostSnapshot, HostState, Job, JobRequest, JobRow, JobSpec, QueueReport
from backend.queues import telling
from backend.queues.news import News, facts, sentence, summary
from tests.tui.fakes import NOW, showcase

ALL = Notify(jobs="all")
HOST = showcase().hosts["h100-1"]
ME = HOST.hello.user if HOST.hello else ""


def job(number: int, state: str = "running", **more: Any) -> Job:
    values = {"owner": ME, "name": "x", "spec": JobSpec(), "request": JobRequest(), "attempt": 1}
    if state in ("completed", "failed", "cancelled", "timeout"):
        values["ended_at"] = 100.0 + number
    return Job(id=number, state=state, **{**values, **more})


def state(*jobs: Job, host: HostSnapshot = HOST, **more: Any) -> FleetState:
    return FleetState(hosts={"h100-1": replace(host, queue=QueueReport(jobs=jobs), **more)})


class Reader:
    """`told(jobs...)`: numbers and states of what is news."""

    def __init__(self, wanted: Notify = ALL) -> None:
        self._news = News()
        self._wanted = wanted

    def __call__(self, *jobs: Job, **more: Any) -> list[tuple[str, str]]:
        return [(row.id, row.state) for row in self._news.feed(state(*jobs, **more), self._wanted)]


def test_nothing_is_news_of_a_host_that_is_seen_for_the_first_time() -> None:
    assert Reader()(job(1), job(2, "failed")) == []


def test_a_job_is_news_once_for_each_state() -> None:
    told = Reader()
    told(job(1, "queued"))
    assert told(job(1)) == [("1", "running")]
    assert told(job(1)) == []
    assert told(job(1, "failed", exit_code=3)) == [("1", "failed")]
    assert told(job(1, "failed", exit_code=3)) == []


def test_a_job_that_came_and_ended_between_two_looks_is_news_an_older_one_is_not() -> None:
    told = Reader()
    told(job(5, "completed"))
    assert told(job(5, "completed"), job(6, "completed")) == [("6", "completed")]
    assert told(job(3, "completed"), job(5, "completed")) == []  # 6 was forgotten: 3 comes into the list


def test_the_next_attempt_is_news_and_only_wanted_states_and_owners_are_told() -> None:
    told = Reader()
    told(job(1))
    assert told(job(1, attempt=2)) == [("1", "running")]
    mine = Reader(Notify(states=("failed",)))
    mine(job(1), job(2), job(3, owner="somebody-else"))
    assert mine(job(1, "failed"), job(2, "completed"), job(3, "failed", owner="somebody-else")) == [
        ("1", "failed")
    ]


def test_a_job_that_one_ended_oneself_is_no_news() -> None:
    told = Reader()
    told(job(1), job(2))
    assert told(job(1, "cancelled", cancel_by=ME), job(2, "cancelled", cancel_by="bob")) == [
        ("2", "cancelled")
    ]


def test_what_happened_while_a_host_was_away_is_told_when_it_is_back() -> None:
    told = Reader()
    told(job(1))
    assert told(job(1), state=HostState.DOWN) == []
    assert told(job(1, "completed")) == [("1", "completed")]


def row(**more: Any) -> JobRow:
    values = {"host": "h", "engine": "docker", "id": "7", "name": "x", "owner": "ann", "state": "running"}
    return JobRow(**{**values, **more})


def test_sentences() -> None:
    assert sentence(row()) == "h: job 7 (x) runs"
    failed = row(state="failed", exit_code=3, started_at=NOW, ended_at=NOW)
    assert sentence(failed) == "h: job 7 (x) failed: exit code 3, after 0 s"
    assert sentence(row(state="cancelled", ended_at=NOW, reason="cancelled by bob")) == (
        "h: job 7 (x) cancelled by bob"
    )
    assert summary([failed, failed, row()]) == "3 jobs: 2 failed, 1 started"


def test_facts_hold_nothing_that_a_terminal_obeys() -> None:
    bad = row(name="a\x1b]0;x\x07\nb\0", reason="\x9b31m", state="cancelled", ended_at=NOW, exit_code=143)
    found = facts(bad)
    assert found["BERTH_JOB_STATE"] == "cancelled"
    assert found["BERTH_JOB_EXIT"] == "143"
    assert all(value.isprintable() for value in found.values())


@pytest.mark.parametrize(
    ("environment", "codes"),
    [
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "\x1b]9;a, b\x1b\\"),
        ({"TERM": "xterm-kitty"}, "\x1b]9;a, b\x1b\\"),
        ({"TERM": "foot-extra"}, "\x1b]777;notify;berth;a, b\x1b\\"),
        ({"TERM": "xterm-256color"}, "\a"),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "iTerm.app"}, "\a"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/t,1,0"}, "\a"),
    ],
)
def test_a_terminal_gets_a_message_it_knows_or_its_bell(environment: dict[str, str], codes: str) -> None:
    assert telling.terminal_codes("a; b", environment) == codes


@pytest.fixture
def tmux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The socket of a tmux server that berth believes to run in."""
    socket = str(tmp_path / "tmux")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
    start = ["tmux", "-S", socket, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "10"]
    subprocess.run(start, env=clean, check=True)
    monkeypatch.setenv("TMUX", f"{socket},1,0")
    yield socket
    subprocess.run(["tmux", "-S", socket, "kill-server"], check=True)


async def test_tmux_shows_a_job_of_any_name_and_runs_nothing_of_it(tmux: str, tmp_path: Path) -> None:
    evil = f"100% #(touch {tmp_path}/ran) #{{pid}} ##(touch {tmp_path}/ran) %H"
    words = telling.tmux_words(evil)
    shown = subprocess.run(
        ["tmux", "-S", tmux, *words[1:2], "-p", *words[2:]], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == evil.replace("#", "\N{FULLWIDTH NUMBER SIGN}")
    await telling.in_tmux(evil)
    # tmux runs what it runs in the background: a command of ours behind it ends after it
    done = ["tmux", "-S", tmux, "run-shell", f"touch {shlex.quote(str(tmp_path / 'done'))}"]
    subprocess.run(done, check=True)
    assert (tmp_path / "done").exists()
    assert not (tmp_path / "ran").exists()


async def test_a_command_is_told_by_its_environment_without_a_shell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = "import os, sys; print(sys.argv[2], os.environ['BERTH_JOB_NAME'], file=open(sys.argv[1], 'w'))"
    argv = [sys.executable, "-c", program, str(out), "$(touch x); `y`"]
    await telling.Command(argv).tell(row(name="; touch z"))
    assert out.read_text() == "$(touch x); `y` ; touch z\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [(["/no/such/program"], "cannot be run"), (["sh", "-c", "echo why >&2; exit 3"], "exit 3): why")],
)
async def test_a_command_that_fails_is_told(argv: list[str], said: str) -> None:
    with pytest.raises(ActionFailed, match=said.replace("(", r"\(").replace(")", r"\)")):
        await telling.Command(argv).tell(row())


async def test_a_command_that_never_ends_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_PATIENCE", 0.5)
    pid = tmp_path / "pid"
    with pytest.raises(ActionFailed, match="more than"):
        await telling.Command(["sh", "-c", f"sleep 1000 & echo $! >{pid}; wait"]).tell(row())
    child = int(pid.read_text())
    async with asyncio.timeout(30):
        while _alive(child):
            await asyncio.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
