"""What a signal ends cleans up first; told of by real processes, since signals are theirs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

WORK = """
import asyncio, signal, sys
from backend import ending

async def work():
    print("ready", flush=True)
    try:
        await asyncio.sleep(1000)
    finally:
        print("cleaning", flush=True)
        if MODE == "twice":
            await asyncio.to_thread(sys.stdin.readline)
        print("clean", flush=True)
        if MODE == "fails":
            raise OSError("the terminal is gone")

MODE = sys.argv[1]
if MODE == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
sys.exit(ending.run(work()))
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    children: list[subprocess.Popen[str]] = []

    def begin(mode: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", WORK, mode]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("mode", ["plain", "fails"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_signal_ends_cleans_up(start: Start, number: signal.Signals, mode: str) -> None:
    child = start(mode)
    child.send_signal(number)
    assert child.communicate(timeout=30)[0] == "cleaning\nclean\n"
    assert child.returncode == 128 + number


def test_a_second_signal_does_not_cut_the_clean_up_short(start: Start) -> None:
    child = start("twice")
    assert child.stdout is not None
    child.send_signal(signal.SIGHUP)
    assert child.stdout.readline() == "cleaning\n"
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGTERM)
    assert child.communicate("go on\n", timeout=30)[0] == "clean\n"
    assert child.returncode == 128 + signal.SIGHUP


def test_what_is_to_outlive_its_terminal_does(start: Start) -> None:
    child = start("nohup")
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    assert child.returncode == 128 + signal.SIGTERM
