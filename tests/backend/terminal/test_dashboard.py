"""Shells from inside a dashboard: in its place, and beside it in tmux."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.terminal.driver import Driven
from tests.lab import Host, Lab
from tests.lab.machine import wait_for

PROMPT = b"# "
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.lab


@pytest.fixture
def dashboard(host: Host, env: dict[str, str]) -> Iterator[Driven]:
    argv = [sys.executable, "-m", "tests.bench.terminal_app", "h1", "work"]
    with Driven(argv, env=env) as it:
        it.expect(b"READY")
        yield it


def test_the_dashboard_sleeps_meanwhile_and_is_as_it_was_afterwards(dashboard: Driven) -> None:
    raw = dashboard.modes()
    for key, code in (("E", 7), ("e", 8), ("E", 9)):
        dashboard.clear()
        dashboard.send(key)
        dashboard.expect(PROMPT)
        # tmux takes its line for the status a moment after the first prompt
        wait = "" if key == "E" else "while stty size | grep -q ^24; do sleep 1; done; "
        dashboard.send(f"{wait}sleep 1; stty size\r")
        quiet = dashboard.expect(b"24 80" if key == "E" else b"23 80")
        assert b"frame" not in quiet
        dashboard.expect(PROMPT)
        dashboard.send(f"exit {code}\r")
        dashboard.expect(f"last: {code}.".encode())
        assert dashboard.modes() == raw
    dashboard.send("q")
    assert dashboard.wait() == 0


def test_no_key_is_lost_to_the_dashboard_or_to_the_shell(dashboard: Driven) -> None:
    dashboard.send("E")
    dashboard.expect(PROMPT)
    for number in range(20):
        dashboard.send(f"echo key-{number}-$((1 + 1))\r")
    dashboard.expect(b"key-19-2\r\n")
    dashboard.send("exit\r")
    dashboard.expect(b"last: 0.")
    dashboard.send("q")
    assert dashboard.wait() == 0


@pytest.mark.parametrize("key", ["E", "e"])
def test_what_went_wrong_is_told_by_the_dashboard(host: Host, env: dict[str, str], key: str) -> None:
    argv = [sys.executable, "-m", "tests.bench.terminal_app", "h1", "nowhere"]
    with Driven(argv, env=env, size=(120, 24)) as it:
        it.expect(b"READY")
        it.send(key)
        it.expect(b"last: nowhere on h1: there is no container nowhere on this host.")
        it.send("q")
        assert it.wait() == 0


def test_told_to_end_inside_a_shell_it_leaves_a_sane_terminal(dashboard: Driven) -> None:
    dashboard.send("E")
    dashboard.expect(PROMPT)
    os.kill(dashboard.pid, signal.SIGTERM)
    assert dashboard.wait() == -signal.SIGTERM
    flags = dashboard.modes()[3]

    assert flags & termios.ECHO and flags & termios.ICANON


def test_a_lost_link_wakes_the_dashboard_and_says_how_to_get_back(dashboard: Driven, host: Host) -> None:
    dashboard.resize(240, 24)
    dashboard.send("e")
    dashboard.expect(PROMPT)
    host.partition()
    dashboard.expect(b"the link to h1 was lost", timeout=60)
    dashboard.expect(b"berth enter h1/work")
    dashboard.send("q")
    assert dashboard.wait() == 0


@pytest.mark.parametrize("place", ["auto", "pane"])
def test_inside_tmux_the_shell_opens_beside_the_dashboard(
    lab: Lab, host: Host, env: dict[str, str], tmp_path: Path, place: str
) -> None:
    (lab.config_dir / "settings.yaml").write_text(f"terminal: {place}\n")
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    told = [f"{name}={value}" for name, value in env.items()]
    app = ["env", *told, sys.executable, "-m", "tests.bench.terminal_app", "h1", "work"]

    def panes() -> list[str]:
        listing = [*tmux, "list-panes", "-s", "-F", "#{pane_id}"]
        return subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()

    def shows(pane: str, text: str) -> bool:
        shown = subprocess.run(
            [*tmux, "capture-pane", "-pt", pane], capture_output=True, text=True, check=False
        )
        return text in shown.stdout

    try:
        subprocess.run([*tmux, "new-session", "-d", "-x", "160", "-y", "40", *app], check=True, cwd=ROOT)
        wait_for(lambda: shows(panes()[0], "READY"), "the dashboard")
        subprocess.run([*tmux, "send-keys", "e"], check=True)
        wait_for(lambda: len(panes()) == 2, "a second pane")
        wait_for(lambda: shows(panes()[1], "/tmp #"), "the prompt beside it")
        assert shows(panes()[0], "last: 0.")
    finally:
        (lab.config_dir / "settings.yaml").unlink()
        subprocess.run([*tmux, "kill-server"], check=False)
