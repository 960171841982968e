"""Queued shells and watched lists in a real terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.backend.queues.labs import IMAGE, Berth, until
from tests.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

SHELL = f"berth shell --host q1 --image {IMAGE} -g 1"


@pytest.fixture
def it(berth: Berth, cluster: Lab, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal whose shell knows `berth`; nothing runs on q1 before and after."""
    folder = tmp_path / "terminal"
    folder.mkdir()
    env = {name: berth.env[name] for name in ("BERTH_CONFIG_DIR", "BERTH_STATE_DIR", "BERTH_CACHE_DIR")}
    env["PATH"] = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    with Terminal(folder, env, size=(150, 30)) as made:
        yield made
    if berth.jobs("--host", "q1"):
        berth("job", "kill", "q1/*", "--yes")
    until(lambda: not berth.jobs("--host", "q1"))


def test_a_queued_shell_is_left_running_found_again_and_ended(it: Terminal, berth: Berth) -> None:
    it.line(SHELL)
    it.until(match(r"^[/~].* [#$] ?$"), seconds=60)
    it.line("mine=still-$((40+2)); echo set $mine")
    it.until("set still-42", seconds=60)
    it.keys("C-p", "C-q")
    it.until("goes on. Back to it: berth job attach q1/", seconds=60)
    it.until_prompt()
    (job,) = berth.jobs("--host", "q1")
    assert (job["state"], job["interactive"], job["gpus"]) == ("running", True, 1)
    it.line("clear")
    it.line(f"berth job attach q1/{job['id']}")
    it.until("Ctrl+P Ctrl+Q leaves it running")
    it.keys("Enter")
    it.line("echo found $mine")
    it.until("found still-42", seconds=60)
    it.line("exit")
    it.until_prompt(seconds=60)
    until(lambda: not berth.jobs("--host", "q1"))
    ended = berth.jobs("--ended", "--host", "q1", "-n", "1")[0]
    assert (ended["id"], ended["state"]) == (job["id"], "completed")


def test_a_shell_in_which_nothing_happens_is_ended_and_says_so(it: Terminal, berth: Berth) -> None:
    it.line(f"{SHELL} --idle 10s")
    it.until(match(r"^[/~].* [#$] ?$"), seconds=60)
    it.until(match(r"^berth: q1: job \d+ ended, timeout: it did nothing for 10 s"), seconds=90)
    it.until_prompt()
    ended = until(lambda: berth.jobs("--ended", "--host", "q1", "-n", "1"))[0]
    assert ended["state"] == "timeout"
    assert "did nothing for 10 s" in ended["reason"]


def test_a_watched_list_follows_a_job_from_start_to_end(it: Terminal, berth: Berth) -> None:
    it.line("berth jobs --host q1 --watch 1")
    it.until("no jobs.")
    place = berth(
        "run", "--host", "q1", "--image", IMAGE, "--name", "seen", "-d", "--", "sleep", "300"
    ).strip()
    it.until(match(r"^q1 +\d+ +seen +alice +running"), seconds=60)
    berth("job", "kill", place)
    it.until("no jobs.", seconds=60)
    it.keys("C-c")
    it.until(match(r"berth-test\$\s*\Z"))
    ended = berth.jobs("--ended", "--host", "q1", "-n", "1")[0]
    assert (f"q1/{ended['id']}", ended["name"], ended["state"]) == (place, "seen", "cancelled")


def test_beside_a_job_without_a_terminal_there_is_a_shell_that_leaves_it_alone(
    it: Terminal, berth: Berth
) -> None:
    place = berth("run", "--host", "q1", "--image", IMAGE, "-d", "--", "sleep", "300").strip()
    until(lambda: [job for job in berth.jobs("--host", "q1") if job["state"] == "running"])
    it.line(f"berth job attach {place}")
    it.until("has no terminal of its own: this is a shell beside it", seconds=60)
    it.until(f"Leaving it leaves the job alone. Its output: berth job logs -f {place}")
    it.until(match(r"[#$] ?$"), seconds=60)
    it.line("echo inside-$((40+2)); exit")
    it.until("inside-42", seconds=60)
    it.until_prompt(seconds=60)
    (job,) = berth.jobs("--host", "q1")
    assert (f"q1/{job['id']}", job["state"]) == (place, "running")
