"""How the host's side of an output ends when nobody asks any more."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, time
from backend.agent.outputs import entry

def do(asked):
    try:
        print("works", flush=True)
        time.sleep(1000)
    finally:
        print("cleans up", flush=True)
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.01)
        print("has cleaned up", flush=True)

entry._do = do
sys.exit(entry.main())
"""
DONE = """
entry._do = lambda asked: {}
sys.exit(entry.main())
"""


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_second_signal_does_not_end_the_clean_up(tmp_path: Path, second: signal.Signals) -> None:
    argv = [sys.executable, "-c", PROGRAM, str(tmp_path / "go on")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("{}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "works\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleans up\n"
        process.send_signal(second)
        process.stdin.close()  # a signal of its own
        (tmp_path / "go on").touch()
        assert process.stdout.readline() == "has cleaned up\n"
        assert process.wait(30) == 1


def test_it_ends_in_peace_while_its_input_is_open() -> None:
    argv = [sys.executable, "-c", PROGRAM.partition("def do")[0] + DONE]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("{}\n")
        process.stdin.flush()
        assert process.stdout.readline() == '{"done": {}}\n'
        assert process.wait(30) == 0
