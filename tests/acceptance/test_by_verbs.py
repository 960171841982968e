"""The same working day from the command line; and nothing of it where berth is read-only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import IMAGE, KEPT
from tests.acceptance.terminal import Terminal, match
from tests.lab import Host, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

CONTEXTS = {"train": "h1", "eval": "m1", "serve": "p1"}
PLACES = [f"{host}/{name}" for name, host in CONTEXTS.items()]


class Berth:
    """`berth("ps")`: the command line without a terminal."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            ["berth", *words],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"berth {' '.join(words)}: {done.returncode}, {done.stderr}"
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self(*words, "--json"))
        return found

    def states(self) -> dict[str, str]:
        return {f"{row['host']}/{row['name']}": row["state"] for row in self.rows("ps")}


@pytest.fixture
def berth(hosts: list[Host], env: dict[str, str], tidy: None) -> Berth:
    return Berth(env)


def make(berth: Berth) -> None:
    for name, host in CONTEXTS.items():
        berth("context", "new", name, "--host", host, "--image", IMAGE)


def test_a_working_day_by_verbs(berth: Berth, lab: Lab, terminal: Callable[..., Terminal]) -> None:
    make(berth)
    assert {row["name"]: row["state"] for row in berth.rows("contexts")} == dict.fromkeys(CONTEXTS, "missing")
    results = berth.rows("up", *CONTEXTS)
    assert len(results) == 3 and all(each["ok"] for each in results)
    assert berth.states() == dict.fromkeys(PLACES, "running")

    enter_and_come_back(terminal(), lab.host("h1"))
    assert [row["name"] for row in berth.rows("sessions")] == ["train-1"]
    lines = berth("logs", "train", "--grep", "/step 4\\d/", "--json").splitlines()
    assert [json.loads(line)["text"] for line in lines] == [f"step {n} loss" for n in range(40, 50)]

    results = berth.rows("stop", *PLACES, "--yes")
    assert sorted(each["target"] for each in results) == sorted(PLACES)
    assert berth.states() == dict.fromkeys(PLACES, "exited")
    berth("start", "train")
    berth("commit", "h1/train", KEPT)
    berth("recreate", "train", "--image", KEPT, "--mount", "/srv:/data:ro", "--yes")
    found = yaml.safe_load(berth("inspect", "h1/train"))
    assert found["Config"]["Image"] == KEPT and "/srv:/data:ro" in found["HostConfig"]["Binds"]
    berth("rm", *PLACES, "--yes")
    assert berth.rows("ps") == []
    berth("context", "rm", *CONTEXTS, "--yes")
    assert berth.rows("contexts") == []


def enter_and_come_back(it: Terminal, host: Host) -> None:
    it.line("berth enter train")
    it.until(match(r"^/ #"))
    it.line("kept=here$((40 + 2))")
    it.line("i=0; while [ $i -lt 99 ]; do i=$((i+1)); echo step $i loss; done >/proc/1/fd/1")
    it.line("echo all-$((40 + 2))")
    it.until(match(r"^all-42$"))  # tmux takes a prefix that comes on the heels of other keys for pasted text
    it.keys("C-b", "d")
    it.until_prompt()
    it.line("clear; berth enter train")
    it.until(match(r"^/ #"))
    host.partition()
    it.until("Back to it: berth enter train", seconds=90)
    it.until_prompt()
    it.line("echo code-$?")
    it.until(match(r"^code-3$"))
    host.heal()
    it.line("clear; berth enter train")
    it.until(match(r"^/ #"))
    it.line("echo still-$kept")
    it.until(match(r"^still-here42$"))
    it.keys("C-b", "d")
    it.until_prompt()


CHANGES = (
    ("context", "new", "more", "--host", "h1", "--image", IMAGE),
    ("context", "rm", "train", "--yes"),
    ("context", "set", "train", "user=alice"),
    ("up", "serve"),
    ("down", "train", "--yes"),
    ("enter", "train"),
    ("stop", "h1/train", "m1/eval", "--yes"),
    ("start", "p1/serve"),
    ("restart", "h1/train", "--yes"),
    ("commit", "h1/train", KEPT),
    ("recreate", "h1/train", "--mount", "/srv:/data", "--yes"),
    ("rm", "h1/train", "--force", "--yes"),
    ("exec", "h1/train", "--", "touch", "/changed"),
)


def test_read_only_refuses_all_of_it_and_still_lists(berth: Berth, hosts: list[Host]) -> None:
    make(berth)
    berth("up", *CONTEXTS)
    berth("stop", "p1/serve", "--yes")
    before = everything(berth, hosts)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(berth, "--read-only", *words, code=5) for words in CHANGES]:
            done.result()
    assert everything(berth, hosts) == before
    assert {row["name"] for row in berth.rows("--read-only", "ps")} == set(CONTEXTS)
    assert "ready" in berth("--read-only", "logs", "train")


def everything(berth: Berth, hosts: list[Host]) -> list[object]:
    """Files of the contexts, containers with their states and beginnings, images, sessions, changed files."""
    folder = Path(berth.env["BERTH_CONFIG_DIR"], "contexts")
    seen: list[object] = [{path.name: path.read_text() for path in folder.iterdir()}]
    for host in hosts:
        if ids := host.docker("ps", "-aq").split():
            told = json.loads(host.docker("inspect", *ids))
            seen += [(each["Id"], each["Name"], each["State"]["StartedAt"]) for each in told]
        seen.append(sorted(host.docker("images", "--quiet").split()))
        seen.append(host.run(["tmux", "list-sessions"], user="alice", check=False).stdout)
    seen.append(hosts[0].docker("diff", "train"))
    return seen
